import CommandSupport
import Testing

@Suite("ByteSelection") struct ByteSelectionTests {
  @Test(
    "reads the forms of HTTP",
    arguments: [
      ("0-0", 100, 0..<1), ("0-99", 100, 0..<100), ("10-19", 100, 10..<20), ("99-99", 100, 99..<100),
      ("99-200", 100, 99..<201), ("0-", 100, 0..<100), ("99-", 100, 99..<100), ("100-", 100, 100..<100),
      ("-1", 100, 99..<100), ("-100", 100, 0..<100), ("-101", 100, 0..<100), ("-1", 0, 0..<0), ("007-008", 100, 7..<9),
      ("9223372036854775807-", 100, Int.max..<Int.max), ("0-99999999999999999999", 100, 0..<Int.max),
    ] as [(String, Int, Range<Int>)])
  func parse(text: String, byteCount: Int, range: Range<Int>) throws {
    #expect(try ByteSelection.parse(text).range(ofByteCount: byteCount) == range)
  }

  @Test(
    "refuses everything else",
    arguments: [
      "", "-", "5", "5-4", "-0", "a-b", "0-5,7-9", "--5", "1-2-3", "+1-2", "1 -2", "0x1-2", "1KiB-2KiB", "٣-٤",
    ])
  func refuse(text: String) {
    let error = #expect(throws: UsageError.self) { try ByteSelection.parse(text) }
    #expect(error?.code == .invalidValue)
    #expect(error?.message.contains("'\(text)'") == true)
  }
}
