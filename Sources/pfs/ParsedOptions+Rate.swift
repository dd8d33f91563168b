import CommandSupport

extension ParsedOptions {
  /// The rate that an option says, such as 10MiB/s; nil where it was not given.
  func bytesPerSecond(of longName: String) throws(CommandError) -> Int? {
    guard let text = try translatingUsage({ () throws(UsageError) in try text(of: longName) }) else { return nil }
    let size = text.hasSuffix("/s") ? String(text.dropLast(2)) : text
    let rate: Int
    do throws(UsageError) { rate = try ByteSize.parse(size) } catch {
      throw CommandError(.wrongUsage, "option '--\(longName)': \(error.message)")
    }
    guard rate > 0 else { throw CommandError(.wrongUsage, "option '--\(longName)': it must be more than nothing") }
    return rate
  }
}
