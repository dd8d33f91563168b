import CommandSupport
import Testing

@Suite("ByteSize") struct ByteSizeTests {
  @Test(
    "reads every accepted form",
    arguments: [
      ("0", 0), ("4096", 4096), ("007", 7), ("12B", 12), ("12b", 12),
      ("64KiB", 65_536), ("64kib", 65_536), ("64Ki", 65_536), ("64K", 65_536), ("64k", 65_536),
      ("1MiB", 1_048_576), ("1Mi", 1_048_576), ("1M", 1_048_576), ("2GiB", 2_147_483_648), ("2g", 2_147_483_648),
      ("3TiB", 3_298_534_883_328), ("3T", 3_298_534_883_328),
      ("1kB", 1000), ("1KB", 1000), ("10MB", 10_000_000), ("5GB", 5_000_000_000), ("7TB", 7_000_000_000_000),
      ("9223372036854775807", Int.max), ("8388607TiB", 9_223_370_937_343_148_032),
    ])
  func parse(text: String, byteCount: Int) throws { #expect(try ByteSize.parse(text) == byteCount) }

  @Test(
    "refuses everything else and names the accepted forms",
    arguments: [
      "", "12Q", "-1", "+1", "1.5MiB", "KiB", "B", " 1", "1 ", "1 KiB", "1KiBB", "0x10", "1e3", "٣", "1\u{212A}",
      "1PiB",
    ])
  func refuse(text: String) {
    let error = #expect(throws: UsageError.self) { try ByteSize.parse(text) }
    #expect(error?.code == .invalidValue)
    #expect(
      error?.message == """
        '\(text)' is not a size; expected a whole number of bytes such as 4096, with KiB, MiB, GiB or TiB \
        (powers of 1024; K, M, G, T mean the same) or kB, MB, GB or TB (powers of 1000)
        """)
  }

  @Test(
    "refuses what does not fit",
    arguments: ["9223372036854775808", "8388608TiB", "99999999999999999999999", "9223372036854776kB"])
  func overflow(text: String) {
    let error = #expect(throws: UsageError.self) { try ByteSize.parse(text) }
    #expect(error?.code == .invalidValue)
    #expect(error?.message.hasPrefix("'\(text)' is more than 9223372036854775807 bytes; expected a whole") == true)
  }

  @Test("quotes hostile text escaped") func hostileText() {
    let error = #expect(throws: UsageError.self) { try ByteSize.parse("1\u{1B}[2J\n") }
    #expect(error?.message.hasPrefix("'1\\x1B[2J\\n' is not a size") == true)
    #expect(error?.description.hasPrefix("invalid value: '1") == true)
  }

  @Test(
    "writes sizes for people, rounding at the boundary of units",
    arguments: [
      (0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1025, "1.0 KiB"), (1536, "1.5 KiB"),
      (1_048_524, "1023.9 KiB"), (1_048_525, "1.0 MiB"), (1_048_575, "1.0 MiB"), (1_048_576, "1 MiB"),
      (67_108_864, "64 MiB"), (1_610_612_736, "1.5 GiB"), (1 << 40, "1 TiB"), (1 << 50, "1 PiB"), (1 << 60, "1 EiB"),
      (UInt64.max, "16.0 EiB"),
    ] as [(UInt64, String)])
  func text(byteCount: UInt64, expected: String) { #expect(ByteSize.text(byteCount) == expected) }

  @Test("writes differences") func negative() {
    #expect(ByteSize.text(-1536) == "-1.5 KiB")
    #expect(ByteSize.text(Int.min) == "-8 EiB")
  }

  @Test("reads back every exact size it writes", arguments: [1, 1023, 1 << 10, 3 << 20, 64 << 20, 1 << 30, 5 << 40])
  func roundTrip(byteCount: Int) throws {
    let text = ByteSize.text(byteCount).split(separator: " ").joined()
    #expect(try ByteSize.parse(text) == byteCount)
  }
}

@Suite("TimeSpan") struct TimeSpanTests {
  @Test(
    "reads every accepted form",
    arguments: [
      ("0", 0), ("10", 10), ("10s", 10), ("500ms", 0.5), ("2m", 120), ("1h", 3600), ("0.5", 0.5), ("1.25s", 1.25),
      ("1000000000", 1e9),
    ] as [(String, Double)])
  func parse(text: String, seconds: Double) throws { #expect(try TimeSpan.parse(text) == seconds) }

  @Test(
    "refuses everything else and names the accepted forms",
    arguments: ["", "s", "-1", "+1", "1.", ".5", "1..5", "1.5.5", "1e3", "inf", "nan", "1d", "10S", "1 s", "١"])
  func refuse(text: String) {
    let error = #expect(throws: UsageError.self) { try TimeSpan.parse(text) }
    #expect(error?.code == .invalidValue)
    #expect(
      error?.message == """
        '\(text)' is not a length of time; expected a number of seconds such as 10 or 0.5, or one with ms, s, m or h
        """)
  }

  @Test(
    "refuses what is longer than anybody waits",
    arguments: ["1000000001", "277778h", String(repeating: "9", count: 400)])
  func tooLong(text: String) {
    let error = #expect(throws: UsageError.self) { try TimeSpan.parse(text) }
    #expect(error?.message.hasPrefix("'\(text)' is more than 1000000000 seconds; expected") == true)
  }

  @Test(
    "shows a clock",
    arguments: [
      (0, "0:00"), (0.2, "0:01"), (59, "0:59"), (59.5, "1:00"), (750, "12:30"), (3600, "1:00:00"), (3723, "1:02:03"),
      (359_999, "99:59:59"), (359_999.5, "--:--"), (-1, "--:--"), (.infinity, "--:--"), (.nan, "--:--"),
    ] as [(Double, String)])
  func clock(seconds: Double, expected: String) { #expect(TimeSpan.clockText(seconds: seconds) == expected) }
}

@Suite("CalendarTime") struct CalendarTimeTests {
  @Test(
    "knows leap years, the epoch and the ends of what 64 bits of nanoseconds hold",
    arguments: [
      (0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00Z"), (-1, "1969-12-31T23:59:59Z"),
      (951_782_400_000_000_000, "2000-02-29T00:00:00Z"), (951_868_799_999_999_999, "2000-02-29T23:59:59Z"),
      (951_868_800_000_000_000, "2000-03-01T00:00:00Z"), (4_107_542_400_000_000_000, "2100-03-01T00:00:00Z"),
      (4_107_542_399_000_000_000, "2100-02-28T23:59:59Z"), (1_795_248_201_000_000_000, "2026-11-21T08:03:21Z"),
      (Int64.max, "2262-04-11T23:47:16Z"), (Int64.min, "1677-09-21T00:12:43Z"),
    ] as [(Int64, String)])
  func rfc3339(nanoseconds: Int64, expected: String) {
    #expect(CalendarTime(nanosecondsSinceEpoch: nanoseconds).rfc3339 == expected)
  }

  @Test("has a short form to the minute") func short() {
    #expect(CalendarTime(nanosecondsSinceEpoch: 1_795_248_201_999_999_999).short == "2026-11-21 08:03")
  }

  @Test("counts every day of 800 years one after the other") func everyDay() {
    let monthLengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var seconds: Int64 = -62_135_596_800  // 0001-01-01
    for year in Int64(1)...800 {
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      for month in 1...12 {
        let dayCount = monthLengths[month - 1] + (isLeap && month == 2 ? 1 : 0)
        for day in 1...dayCount {
          let time = CalendarTime(secondsSinceEpoch: seconds)
          guard time.year == year, time.month == Int64(month), time.day == Int64(day) else {
            Issue.record("\(year)-\(month)-\(day) is \(time)")
            return
          }
          seconds += 86_400
        }
      }
    }
  }
}
