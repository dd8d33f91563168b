import Glibc

/// The bytes this process was started with, whatever their encoding.
package enum ProcessArguments {
  /// The arguments after the name of the program, as the bytes they are.
  package static var bytes: [[UInt8]] {
    // Safe: argv has `argc` entries that live and stay unchanged as long as the process.
    let all = (0..<Int(CommandLine.argc)).map { index in
      unsafe CommandLine.unsafeArgv[index].map { text in unsafe CStrings.bytes(of: text) } ?? []
    }
    return Array(all.dropFirst())
  }

  /// The value of an environment variable, or nil if it is not set. Nothing in this process may change the
  /// environment while it runs.
  package static func environment(_ name: String) -> [UInt8]? {
    // Safe: the value belongs to the environment and is copied before anything else runs.
    unsafe getenv(name).map { text in unsafe CStrings.bytes(of: text) }
  }
}

/// Bytes to and from C strings.
enum CStrings {
  /// The bytes before the zero byte.
  @unsafe static func bytes(of text: UnsafePointer<CChar>) -> [UInt8] {
    // Safe: the caller gives a C string, which strlen measures; its bytes are copied here.
    unsafe Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
  }

  /// The bytes as a C string; nil if one of them is zero, which would hide what follows.
  static func terminated(_ bytes: [UInt8]) -> [CChar]? {
    bytes.contains(0) ? nil : bytes.map(CChar.init(bitPattern:)) + [0]
  }
}
