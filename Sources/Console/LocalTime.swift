import CommandSupport
import Glibc

/// Moments as text.
package enum LocalTime {
  /// The moment in UTC, to the second below: `2026-11-21T08:03:21Z`.
  package static func rfc3339(nanosecondsSinceEpoch: Int64) -> String {
    CalendarTime(nanosecondsSinceEpoch: nanosecondsSinceEpoch).rfc3339
  }

  /// The moment in the zone of the user (`TZ`, else the system's), to the minute below: `2026-11-21 08:03`.
  package static func short(nanosecondsSinceEpoch: Int64) -> String {
    let offsetSeconds = zoneOffsetSeconds(at: nanosecondsSinceEpoch)
    let (shifted, isOverflow) = nanosecondsSinceEpoch.addingReportingOverflow(offsetSeconds * 1_000_000_000)
    return CalendarTime(nanosecondsSinceEpoch: isOverflow ? nanosecondsSinceEpoch : shifted).short
  }

  /// Seconds east of UTC; 0 if the zone is not known.
  private static func zoneOffsetSeconds(at nanosecondsSinceEpoch: Int64) -> Int64 {
    var seconds = time_t(nanosecondsSinceEpoch / 1_000_000_000)
    var fields = unsafe tm()
    // Safe: both structures outlive the call. tzset is needed as localtime_r need not read the zone, and takes the
    // same lock of the C library.
    tzset()
    let isKnown = unsafe localtime_r(&seconds, &fields) != nil
    return isKnown ? Int64(unsafe fields.tm_gmtoff) : 0
  }
}
