/// How a file name, which is any bytes, is shown to people and to programs.
package enum DisplayName {
  /// The name as it can be printed on a terminal: one line, no control sequences, nothing lost.
  ///
  /// Well-formed printable UTF-8 stays. A backslash becomes `\\`, newline `\n`, tab `\t`, other ASCII control
  /// characters and invalid bytes `\xHH`; U+007F, C1 controls and characters that reorder or hide text become
  /// `\u{XXXX}`. So `\xHH` up to `1F` and from `80` stands for that one byte.
  /// - Complexity: O(bytes.count)
  package static func escaped(_ bytes: [UInt8]) -> String {
    var text = ""
    text.reserveCapacity(bytes.count)
    for unit in TextUnits(bytes) {
      switch unit {
      case .invalidByte(let byte): text += "\\x" + hexadecimal(UInt32(byte), digitCount: 2)
      case .scalar("\\"): text += "\\\\"
      case .scalar("\n"): text += "\\n"
      case .scalar("\t"): text += "\\t"
      case .scalar(let scalar) where scalar.value < 0x20:
        text += "\\x" + hexadecimal(scalar.value, digitCount: 2)
      case .scalar(let scalar) where isTerminalHazard(scalar):
        text += "\\u{" + hexadecimal(scalar.value, digitCount: 4) + "}"
      case .scalar(let scalar): text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  /// ``escaped(_:)`` for text, such as a value that an error message quotes.
  /// - Complexity: O(length of the text)
  package static func escaped(_ text: String) -> String { escaped(Array(text.utf8)) }

  /// The bytes as Base64, for names that no JSON string can hold.
  /// - Complexity: O(bytes.count)
  package static func base64(_ bytes: [UInt8]) -> String { Base64.encode(bytes) }

  /// The JSON fields for a name: `name`, and `name_base64` after it if the bytes are not valid UTF-8.
  ///
  /// `name` is the exact text if the bytes are valid UTF-8, and the escaped text if not, so that a program that
  /// finds no `name_base64` may take `name` literally.
  /// - Complexity: O(bytes.count)
  package static func jsonMembers(_ bytes: [UInt8]) -> [JSONValue.Member] {
    if let text = String(validating: bytes, as: UTF8.self) {
      return [JSONValue.Member("name", .string(text))]
    }
    return [
      JSONValue.Member("name", .string(escaped(bytes))),
      JSONValue.Member("name_base64", .string(base64(bytes))),
    ]
  }

  /// Whether a scalar could steer the terminal, reorder the text around it or hide in it.
  static func isTerminalHazard(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x00...0x1F, 0x7F...0x9F: return true  // C0, delete and C1 controls
    case 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: return true  // bidirectional controls
    case 0x200B...0x200D, 0x2060, 0xFEFF: return true  // zero-width
    case 0x2028, 0x2029: return true  // line and paragraph separators
    default: return false
    }
  }

  static func hexadecimal(_ value: UInt32, digitCount: Int) -> String {
    let digits = String(value, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, digitCount - digits.count)) + digits
  }
}
