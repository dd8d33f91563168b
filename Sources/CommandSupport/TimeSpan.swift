/// Lengths of time as people write and read them.
package enum TimeSpan {
  /// The forms ``parse(_:)`` takes, for messages.
  package static let acceptedForms = "a number of seconds such as 10 or 0.5, or one with ms, s, m or h"

  /// The longest span that is accepted, about 31 years.
  package static let maximumSeconds = 1e9

  /// The seconds that `text` names: `10`, `10s`, `500ms`, `2m`, `1h`, `0.5`.
  /// - Throws: ``UsageError`` `.invalidValue` for anything else, and for more than ``maximumSeconds``.
  package static func parse(_ text: String) throws(UsageError) -> Double {
    let isDigit = { (byte: UInt8) in byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
    let whole = text.utf8.prefix(while: isDigit)
    var number = Array(whole)
    var rest = text.utf8.dropFirst(whole.count)
    if rest.first == UInt8(ascii: ".") {
      let fraction = rest.dropFirst().prefix(while: isDigit)
      // A dot wants digits on both sides.
      number = fraction.isEmpty ? [] : number + [UInt8(ascii: ".")] + fraction
      rest = rest.dropFirst(1 + fraction.count)
    }
    let secondsPerUnit: Double? =
      switch String(decoding: rest, as: UTF8.self) {
      case "", "s": 1
      case "ms": 0.001
      case "m": 60
      case "h": 3600
      default: nil
      }
    guard !whole.isEmpty, let secondsPerUnit, let value = Double(String(decoding: number, as: UTF8.self)) else {
      throw UsageError(
        .invalidValue, "'\(DisplayName.escaped(text))' is not a length of time; expected \(acceptedForms)")
    }
    guard value * secondsPerUnit <= maximumSeconds else {
      throw UsageError(
        .invalidValue,
        "'\(DisplayName.escaped(text))' is more than \(Int(maximumSeconds)) seconds; expected \(acceptedForms)")
    }
    return value * secondsPerUnit
  }

  /// The span as a clock shows it, whole seconds rounded up: `0:07`, `12:30`, `1:02:03`; `--:--` from 100 hours,
  /// for negative spans and for no number.
  package static func clockText(seconds: Double) -> String {
    guard seconds >= 0, seconds <= 359_999 else { return "--:--" }
    let total = Int(seconds.rounded(.up))
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60)
    let pad = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
    return hours > 0 ? "\(hours):\(pad(minutes)):\(pad(rest))" : "\(minutes):\(pad(rest))"
  }
}
