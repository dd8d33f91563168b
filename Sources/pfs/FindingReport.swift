import CommandSupport
import SegmentStore

/// A finding as commands show it.
struct FindingReport {
  private let finding: Finding

  init(_ finding: Finding) { self.finding = finding }

  /// One line on standard output.
  func write(to output: Output) throws(CommandError) {
    if output.isJSON { return try output.result(json) }
    try output.results(DisplayName.escaped(finding.description) + "\n")
  }

  var json: JSONValue {
    var members: [JSONValue.Member] = [.init("finding", .string(finding.kind.description))]
    if let file = finding.file { members.append(.init("file", .integer(Int64(clamping: file.rawValue)))) }
    if let name = finding.name { members.append(.init("name", .string(DisplayName.escaped(name.bytes)))) }
    let numbers = [
      ("part", finding.partNumber), ("part_id", finding.part.map { Int(clamping: $0.rawValue) }),
      ("segment", finding.segment.map { Int(clamping: $0.rawValue) }), ("offset", finding.offset),
    ]
    for (key, number) in numbers {
      if let number { members.append(.init(key, .integer(Int64(number)))) }
    }
    members.append(.init("message", .string(finding.message)))
    return .object(members)
  }
}
