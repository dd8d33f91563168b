import Foundation
import Testing

@testable import CommandSupport

@Suite("DisplayName") struct DisplayNameTests {
  @Test(
    "escapes what is not printable and nothing else",
    arguments: [
      ("", ""), ("plain name.iso", "plain name.iso"), ("größe 名前 🗂", "größe 名前 🗂"), ("e\u{301}", "e\u{301}"),
      ("a\nb", "a\\nb"), ("a\tb", "a\\tb"), ("a\\b", "a\\\\b"), ("a\rb", "a\\x0Db"), ("\0", "\\x00"),
      ("\u{1B}[31m", "\\x1B[31m"), ("\u{1F} ", "\\x1F "), ("~\u{7F}", "~\\u{007F}"), ("\u{80}", "\\u{0080}"),
      ("\u{9F}\u{A0}", "\\u{009F}\u{A0}"), ("\u{200A}\u{200B}", "\u{200A}\\u{200B}"), ("\u{200F}", "\\u{200F}"),
      ("\u{200C}\u{200D}\u{200E}", "\\u{200C}\\u{200D}\\u{200E}"), ("\u{202A}", "\\u{202A}"),
      ("\u{202E}gpj.exe", "\\u{202E}gpj.exe"), ("\u{2066}\u{2069}", "\\u{2066}\\u{2069}"), ("\u{206A}", "\u{206A}"),
      ("\u{FEFF}x", "\\u{FEFF}x"), ("\u{2028}", "\\u{2028}"), ("\u{61C}", "\\u{061C}"), ("\u{2060}", "\\u{2060}"),
    ])
  func escapes(text: String, expected: String) {
    #expect(Array(DisplayName.escaped(text).unicodeScalars) == Array(expected.unicodeScalars))
  }

  @Test(
    "escapes each byte that is no UTF-8",
    arguments: [
      ([0xFF], "\\xFF"), ([0x61, 0x80, 0x62], "a\\x80b"), ([0xC3], "\\xC3"), ([0xC3, 0x28], "\\xC3("),
      ([0xE2, 0x82], "\\xE2\\x82"), ([0xE2, 0x82, 0xAC], "€"), ([0xE2, 0x82, 0x41], "\\xE2\\x82A"),
      ([0xC0, 0x80], "\\xC0\\x80"), ([0xED, 0xA0, 0x80], "\\xED\\xA0\\x80"),
      ([0xF4, 0x90, 0x80, 0x80], "\\xF4\\x90\\x80\\x80"),
      ([0xF0, 0x9F, 0x97, 0xC3, 0xA9], "\\xF0\\x9F\\x97é"),
    ] as [([UInt8], String)])
  func invalidBytes(bytes: [UInt8], expected: String) { #expect(DisplayName.escaped(bytes) == expected) }

  @Test("loses nothing: unescaping gives the bytes back") func lossless() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix(state: seed)
    let pieces: [[UInt8]] = [
      [0x5C], [0x0A], Array("\\x41".utf8), Array("\\u{0041}".utf8), [0xC3, 0xA9], [0xC2, 0x85], [0xE2, 0x80, 0x8B],
      [0xFF],
    ]
    for _ in 0..<2000 {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 0...12, using: &random) {
        if Bool.random(using: &random) {
          bytes += pieces.randomElement(using: &random) ?? []
        } else {
          bytes.append(UInt8.random(in: 0...255, using: &random))
        }
      }
      let text = DisplayName.escaped(bytes)
      #expect(unescaped(text) == bytes, "seed \(seed): \(bytes) became \(text)")
      #expect(!text.unicodeScalars.contains(where: DisplayName.isTerminalHazard), "seed \(seed): \(bytes)")
    }
  }

  @Test("gives JSON the exact text of a name in UTF-8, hostile or not") func jsonOfText() {
    #expect(DisplayName.jsonMembers(Array("a\\\u{1}é".utf8)) == [JSONValue.Member("name", "a\\\u{1}é")])
    #expect(DisplayName.jsonMembers([]) == [JSONValue.Member("name", "")])
  }

  @Test("gives JSON the escaped text and Base64 of any other name") func jsonOfBytes() {
    #expect(
      DisplayName.jsonMembers([0x61, 0xFF, 0x5C])
        == [JSONValue.Member("name", "a\\xFF\\\\"), JSONValue.Member("name_base64", "Yf9c")])
  }

  /// The inverse of `escaped`, kept apart from it.
  private func unescaped(_ text: String) -> [UInt8] {
    var rest = Array(text.utf8)[...]
    var bytes: [UInt8] = []
    let number = { (digits: ArraySlice<UInt8>) in UInt32(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0 }
    while let first = rest.first {
      let length: Int
      switch (first, rest.dropFirst().first) {
      case (0x5C, UInt8(ascii: "n")): (length, bytes) = (2, bytes + [0x0A])
      case (0x5C, UInt8(ascii: "t")): (length, bytes) = (2, bytes + [0x09])
      case (0x5C, UInt8(ascii: "x")):
        (length, bytes) = (4, bytes + [UInt8(truncatingIfNeeded: number(rest.dropFirst(2).prefix(2)))])
      case (0x5C, UInt8(ascii: "u")):
        let scalar = Unicode.Scalar(number(rest.dropFirst(3).prefix(4))) ?? "?"
        (length, bytes) = (8, bytes + Array(String(scalar).utf8))
      case (0x5C, _): (length, bytes) = (2, bytes + [0x5C])
      case (let byte, _): (length, bytes) = (1, bytes + [byte])
      }
      rest = rest.dropFirst(length)
    }
    return bytes
  }
}

@Suite("Base64") struct Base64Tests {
  @Test(
    "encodes the vectors of RFC 4648",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
      ("foobar", "Zm9vYmFy"),
    ])
  func vectors(text: String, expected: String) { #expect(Base64.encode(Array(text.utf8)) == expected) }

  @Test("agrees with Foundation for all bytes and lengths") func reference() {
    for count in 0...260 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ count) }
      #expect(Base64.encode(bytes) == Data(bytes).base64EncodedString())
    }
  }
}

@Suite("JSONValue") struct JSONValueTests {
  @Test(
    "writes compact JSON",
    arguments: [
      (nil, "null"), (true, "true"), (false, "false"), (0, "0"), (-7, "-7"), (.integer(.min), "-9223372036854775808"),
      (.unsignedInteger(.max), "18446744073709551615"), (1.5, "1.5"), (.double(-0.0), "-0.0"),
      (.double(1e300), "1e+300"),
      (.double(.nan), "null"), (.double(.infinity), "null"), (.double(-.infinity), "null"), ("", "\"\""), ([], "[]"),
      ([:], "{}"), ([1, "a", nil], "[1,\"a\",null]"),
      (["b": 1, "a": ["c": [true]]], "{\"b\":1,\"a\":{\"c\":[true]}}"), (["a\"b": 1], "{\"a\\\"b\":1}"),
    ] as [(JSONValue, String)])
  func compact(value: JSONValue, expected: String) { #expect(value.serialized == expected) }

  @Test(
    "escapes what JSON and terminals need",
    arguments: [
      ("\"\\/", "\"\\\"\\\\/\""), ("\n\r\t", "\"\\n\\r\\t\""),
      ("\0\u{1}\u{8}\u{C}\u{1F}", "\"\\u0000\\u0001\\u0008\\u000C\\u001F\""),
      ("\u{7F}\u{9B}", "\"\\u007F\\u009B\""), ("\u{202E}\u{FEFF}\u{2028}", "\"\\u202E\\uFEFF\\u2028\""),
      ("é€🗂", "\"é€🗂\""),
    ])
  func strings(text: String, expected: String) { #expect(JSONValue.string(text).serialized == expected) }

  @Test("is read back by another parser as the same strings") func reference() throws {
    let text = String(String.UnicodeScalarView((0...0x2FFF).compactMap(Unicode.Scalar.init))) + "🗂\u{10FFFF}\u{FEFF}"
    let bytes = JSONValue.object([.init(text, .string(text))]).serializedBytes
    let parsed = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: String]
    #expect(parsed?.keys.first?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
    #expect(parsed?.values.first?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
    #expect(String(validating: bytes, as: UTF8.self) != nil)
  }
}
