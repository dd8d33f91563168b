/// A moment as the fields of the proleptic Gregorian calendar.
package struct CalendarTime: Hashable, Sendable {
  package let year: Int64
  /// 1 ... 12
  package let month: Int64
  /// 1 ... 31
  package let day: Int64
  package let hour: Int64
  package let minute: Int64
  package let second: Int64

  /// The fields for a number of seconds since 1970-01-01T00:00:00, in whatever zone the seconds are counted.
  ///
  /// The days are turned into a date by `civil_from_days` of Howard Hinnant's "chrono-Compatible Low-Level Date
  /// Algorithms": years begin in March, so that the leap day is the last, and 400 of them have 146,097 days.
  package init(secondsSinceEpoch: Int64) {
    let daySeconds: Int64 = 86_400
    let dayNumber = Self.floorDivide(secondsSinceEpoch, by: daySeconds)
    let secondOfDay = secondsSinceEpoch - dayNumber * daySeconds

    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let shifted = dayNumber + 719_468
    let era = Self.floorDivide(shifted, by: 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153

    day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
    hour = secondOfDay / 3600
    minute = secondOfDay / 60 % 60
    second = secondOfDay % 60
  }

  /// The fields for nanoseconds since 1970-01-01T00:00:00, with the part below a second cut off downwards.
  package init(nanosecondsSinceEpoch: Int64) {
    self.init(secondsSinceEpoch: Self.floorDivide(nanosecondsSinceEpoch, by: 1_000_000_000))
  }

  /// `2026-11-21T08:03:21Z`: RFC 3339, if the seconds were counted in UTC.
  package var rfc3339: String {
    "\(dateText)T\(Self.padded(hour, 2)):\(Self.padded(minute, 2)):\(Self.padded(second, 2))Z"
  }

  /// `2026-11-21 08:03`
  package var short: String { "\(dateText) \(Self.padded(hour, 2)):\(Self.padded(minute, 2))" }

  private var dateText: String {
    "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(day, 2))"
  }

  private static func padded(_ number: Int64, _ digitCount: Int) -> String {
    let digits = number.magnitude.description
    let zeros = String(repeating: "0", count: max(0, digitCount - digits.count))
    return (number < 0 ? "-" : "") + zeros + digits
  }

  static func floorDivide(_ dividend: Int64, by divisor: Int64) -> Int64 {
    let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
  }
}
