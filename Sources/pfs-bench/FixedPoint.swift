/// Numbers with a fixed count of decimals.
enum FixedPoint {
  /// `value` rounded to `decimals` digits behind the point; for numbers below 10^15.
  static func text(_ value: Double, decimals: Int) -> String {
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let scaled = (value * scale).rounded()
    guard scaled.isFinite, scaled.magnitude < 1e15 else { return "-" }
    let digits = String(Int(scaled.magnitude))
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    let sign = scaled < 0 ? "-" : ""
    guard decimals > 0 else { return sign + padded }
    return "\(sign)\(padded.dropLast(decimals)).\(padded.suffix(decimals))"
  }

  /// `ratio` in per cent without decimals.
  static func percent(_ ratio: Double) -> String { text(ratio * 100, decimals: 0) + " %" }

  /// `byteCount` in MiB with one decimal.
  static func mebibytes(_ byteCount: Int) -> String { text(Double(byteCount) / 1_048_576, decimals: 1) }
}
