import CommandSupport
import Console
import SegmentStore

/// A stored file as results show it; the same fields in every command.
struct FileReport {
  let file: StoredFile

  init(_ file: StoredFile) { self.file = file }

  /// What `put` and `delete` print: id, tab, name.
  var line: String { "\(file.id)\t\(name)\n" }

  var name: String { DisplayName.escaped(file.name.bytes) }

  /// Four octal digits.
  var mode: String {
    let digits = String(file.mode & 0o7777, radix: 8)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }

  var json: JSONValue { .object(members) }

  var members: [JSONValue.Member] {
    idAndName + [
      .init("status", .string(file.status.rawValue)),
      .init("size", .integer(Int64(file.byteCount))),
      .init("stored_size", .integer(Int64(file.storedByteCount))),
      .init("created", .string(LocalTime.rfc3339(nanosecondsSinceEpoch: file.createdNanoseconds))),
      .init("modified", .string(LocalTime.rfc3339(nanosecondsSinceEpoch: file.modifiedNanoseconds))),
      .init("mode", .string(mode)),
      .init("parts", .integer(Int64(file.partCount))),
      .init("part_size", .integer(Int64(file.partByteCount))),
      .init("etag", .string(file.etag)),
    ]
  }

  var idAndName: [JSONValue.Member] {
    [.init("id", .unsignedInteger(file.id.rawValue))] + DisplayName.jsonMembers(file.name.bytes)
  }
}
