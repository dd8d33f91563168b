/// A promise that was broken.
struct Violation: Hashable, Sendable, CustomStringConvertible {
  /// What kind of promise.
  enum Kind: String, Sendable {
    /// Something acknowledged is not there, or something deleted is.
    case lost
    /// Bytes came back that were never stored so.
    case wrongBytes = "wrong bytes"
    /// Something that should have been noticed was not.
    case silent
    /// A process died of a signal or of a trap.
    case crash
    /// A process did not end, or not in time.
    case hang
    /// The store cannot be opened, or needs more than an open.
    case unopenable
    /// Accounts, directory or verification are not as they must be.
    case inconsistent
    /// A command ended otherwise than its contract says.
    case outcome
    /// A seeded defect that no layer saw.
    case survivor
  }

  let kind: Kind
  /// What was done, and what was expected and found.
  let message: String
  /// A command that shows it again.
  let replay: String

  var description: String { "\(kind.rawValue): \(message)\n  again: \(replay)" }
}
