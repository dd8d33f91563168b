import CommandSupport

/// Names and values, one to a line, for people.
enum KeyedLines {
  static func text(_ fields: [(String, String)]) -> String {
    var table = TableFormatter(columns: [.init(""), .init("")])
    return table.lines(for: fields.map { [$0.0, $0.1] })
  }

  /// A size at a glance, and to the byte.
  static func size(_ byteCount: Int) -> String {
    byteCount < 1024 ? ByteSize.text(byteCount) : "\(ByteSize.text(byteCount)) (\(byteCount) bytes)"
  }
}
