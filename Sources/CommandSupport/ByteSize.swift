/// Sizes in bytes as people write and read them.
package enum ByteSize {
  /// The forms ``parse(_:)`` takes, for messages.
  package static let acceptedForms =
    "a whole number of bytes such as 4096, with KiB, MiB, GiB or TiB (powers of 1024; K, M, G, T mean the same) "
    + "or kB, MB, GB or TB (powers of 1000)"

  /// In lower case, without the `b` that may follow a binary one.
  private static let unitByteCounts: [String: Int] = [
    "": 1, "b": 1,
    "k": 1 << 10, "ki": 1 << 10, "kib": 1 << 10, "kb": 1_000,
    "m": 1 << 20, "mi": 1 << 20, "mib": 1 << 20, "mb": 1_000_000,
    "g": 1 << 30, "gi": 1 << 30, "gib": 1 << 30, "gb": 1_000_000_000,
    "t": 1 << 40, "ti": 1 << 40, "tib": 1 << 40, "tb": 1_000_000_000_000,
  ]

  /// The number of bytes that `text` names: `4096`, `64KiB`, `10MB`; upper and lower case mean the same.
  ///
  /// A letter alone is a power of 1024 and a letter with `B` a power of 1000, as in dd, zstd and restic.
  /// - Throws: ``UsageError`` `.invalidValue` for anything else, and for more than `Int.max` bytes.
  package static func parse(_ text: String) throws(UsageError) -> Int {
    let isDigit = { (byte: UInt8) in byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
    let digits = text.utf8.prefix(while: isDigit)
    let suffix = text.utf8.dropFirst(digits.count).map { byte in
      byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }
    guard !digits.isEmpty, let unit = unitByteCounts[String(decoding: suffix, as: UTF8.self)] else {
      throw UsageError(.invalidValue, "'\(DisplayName.escaped(text))' is not a size; expected \(acceptedForms)")
    }
    let number = Int(String(decoding: digits, as: UTF8.self))
    guard let (byteCount, isOverflow) = number?.multipliedReportingOverflow(by: unit), !isOverflow else {
      throw UsageError(
        .invalidValue, "'\(DisplayName.escaped(text))' is more than \(Int.max) bytes; expected \(acceptedForms)")
    }
    return byteCount
  }

  /// The size for people: `512 B`, `64 MiB` when exact, else one rounded decimal as in `1.5 GiB`.
  package static func text(_ byteCount: some BinaryInteger) -> String {
    let sign = byteCount < 0 ? "-" : ""
    let magnitude = UInt64(clamping: byteCount.magnitude)
    guard magnitude >= 1024 else { return "\(sign)\(magnitude) B" }
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var unitIndex = 0
    var unitByteCount: UInt64 = 1024
    // 1023.95 KiB would be rounded to 1024.0 KiB: that is 1.0 MiB.
    while unitIndex + 1 < units.count, tenths(magnitude, of: unitByteCount) >= 10_240 {
      unitIndex += 1
      unitByteCount *= 1024
    }
    if magnitude.isMultiple(of: unitByteCount) {
      return "\(sign)\(magnitude / unitByteCount) \(units[unitIndex])"
    }
    let rounded = tenths(magnitude, of: unitByteCount)
    return "\(sign)\(rounded / 10).\(rounded % 10) \(units[unitIndex])"
  }

  /// Tenths of the unit, rounded to the nearest; cannot overflow for units up to 2^60.
  private static func tenths(_ byteCount: UInt64, of unitByteCount: UInt64) -> UInt64 {
    let (whole, rest) = byteCount.quotientAndRemainder(dividingBy: unitByteCount)
    return whole * 10 + (rest * 10 + unitByteCount / 2) / unitByteCount
  }
}
