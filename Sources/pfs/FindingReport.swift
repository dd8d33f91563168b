import CommandSupport
import SegmentStore

/// A finding as results show it.
struct FindingReport {
  private let finding: Finding?
  private let kind: Finding.Kind
  private let message: String

  init(_ finding: Finding) {
    self.finding = finding
    kind = finding.kind
    // The engine quotes names as they are.
    message = DisplayName.escaped(finding.message)
  }

  /// Something that was found outside of the store's own verification; `message` is printable.
  init(_ kind: Finding.Kind, _ message: String) {
    finding = nil
    self.kind = kind
    self.message = message
  }

  /// One line, without the newline.
  func text(isJSON: Bool) -> String { isJSON ? json.serialized : line }

  /// Such as `damaged part 'big.iso' (id 7) part 3: segment 2 offset 8256: stored CRC32C .., bytes give ..`.
  private var line: String {
    var words = [FindingReport.title(of: kind)]
    if let name = finding?.name { words.append("'\(DisplayName.escaped(name.bytes))'") }
    if let file = finding?.file { words.append(finding?.name == nil ? "of file \(file)" : "(id \(file))") }
    if let number = finding?.partNumber { words.append("part \(number)") }
    var places = [words.joined(separator: " ")]
    if finding?.partNumber == nil, let part = finding?.part { places.append("part id \(part)") }
    if let segment = finding?.segment {
      let place = "segment \(segment)" + (finding?.offset.map { " offset \($0)" } ?? "")
      if kind == .segment { places = ["damaged \(place)"] } else { places.append(place) }
    }
    return (places + [message]).joined(separator: ": ")
  }

  private static func title(of kind: Finding.Kind) -> String {
    switch kind {
    case .lostFile: "lost file"
    case .uncommittedFile: "uncommitted file"
    default: "damaged \(kind)"
    }
  }

  var json: JSONValue {
    var members: [JSONValue.Member] = [.init("finding", .string(kind.description))]
    if let file = finding?.file { members.append(.init("file", .unsignedInteger(file.rawValue))) }
    if let name = finding?.name { members += DisplayName.jsonMembers(name.bytes) }
    if let number = finding?.partNumber { members.append(.init("part", .integer(Int64(number)))) }
    if let part = finding?.part { members.append(.init("part_id", .unsignedInteger(part.rawValue))) }
    if let segment = finding?.segment { members.append(.init("segment", .unsignedInteger(segment.rawValue))) }
    if let offset = finding?.offset { members.append(.init("offset", .integer(Int64(offset)))) }
    return .object(members + [.init("message", .string(message))])
  }
}
