import Testing

@testable import CommandSupport

@Suite("JSON") struct JSONTests {
  @Test("what is written is read as the same value")
  func roundTrip() throws {
    let value: JSONValue = [
      "nothing": .null, "yes": .bool(true), "no": .bool(false), "number": -12, "half": 0.5, "tiny": 1e-300,
      "large": .unsignedInteger(.max), "text": "a \"b\" \\ \n\t\u{1F600} \u{202E} é", "": .array([]),
      "none": .object([]),
      "nested": .array([.array([1, 2, .object([JSONValue.Member("a", .null)])])]),
    ]
    #expect(try JSONReader.value(of: value.serializedBytes) == value)
  }

  @Test(
    "text of others is read",
    arguments: [
      (" { \"a\" : [ 1 , 2.5e3 ] }\r\n", ["a": .array([1, 2500.0])] as JSONValue),
      (#""\u0041\ud83d\ude00\/\b\f""#, "A\u{1F600}/\u{8}\u{C}"), ("-0", 0), ("1E2", 100.0),
    ] as [(String, JSONValue)])
  func foreign(text: String, value: JSONValue) throws {
    #expect(try JSONReader.value(of: Array(text.utf8)) == value)
  }

  @Test(
    "what is no JSON is an error that says where",
    arguments: [
      "", " ", "{", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "[1 2]", "01", "1.", "+1", ".5", "nul", "true false",
      "\"a", "\"\u{1}\"", #""\x""#, #""\u12""#, #""\ud800""#, #""\udc00""#, "1e", "--1",
      String(repeating: "[", count: 100_000),
    ])
  func malformed(text: String) {
    #expect(throws: JSONReader.Failure.self) { try JSONReader.value(of: Array(text.utf8)) }
  }

  @Test("bytes that are no UTF-8 are an error")
  func invalid() {
    #expect(throws: JSONReader.Failure.self) { try JSONReader.value(of: [0x22, 0xFF, 0x22]) }
  }

  @Test("any cut of a text, and any byte of it changed, is a value or an error")
  func damaged() throws {
    let bytes = Array(#"{"a":[1,-2.5e+3,"\u00e9\n",{"b":null}],"c":true}"#.utf8)
    for count in bytes.indices {
      #expect(throws: JSONReader.Failure.self) { try JSONReader.value(of: Array(bytes.prefix(count))) }
    }
    for place in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[place] ^= 1 << UInt8(bit)
        // A changed text may be another value, which then is one.
        do throws(JSONReader.Failure) {
          let value = try JSONReader.value(of: changed)
          #expect(try JSONReader.value(of: value.serializedBytes) == value)
        } catch {
          #expect(0...changed.count ~= error.offset)
        }
      }
    }
  }
}
