/// Why a test cannot go on: its own preparations failed, or something did not end in time.
public struct TestFailure: Error, CustomStringConvertible {
  /// What failed, where, and what was found.
  public let description: String

  public init(_ description: String) { self.description = description }
}
