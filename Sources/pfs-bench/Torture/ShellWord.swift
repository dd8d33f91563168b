import CommandSupport

/// Words of a command that somebody pastes into a shell.
enum ShellWord {
  /// The word in quotes; with the escapes of bash where it holds what cannot be printed.
  static func quoted(_ bytes: [UInt8]) -> String {
    let text = String(decoding: bytes, as: UTF8.self)
    if !bytes.contains(UInt8(ascii: "\\")) && DisplayName.escaped(bytes) == text {
      return "'" + text.replacing("'", with: "'\\''") + "'"
    }
    let escaped = bytes.map { byte in
      switch byte {
      case UInt8(ascii: "\\"), UInt8(ascii: "'"): "\\" + String(UnicodeScalar(byte))
      case 0x20..<0x7F: String(UnicodeScalar(byte))
      default: "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }
    return "$'" + escaped.joined() + "'"
  }
}
