import TestSupport
import Testing

@testable import ChunkStore

@Suite("Layout") struct LayoutTests {
  @Test("says where the compiler has put every field")
  func description() {
    #expect(
      Reading.layout.description
        == "Reading/1 little {time:i64@0,sensor:u32@8,value:f64@16,quality:u8@24}25:8")
    #expect(
      Track.layout.type.text
        == "{start:{time:i64@0,sensor:u32@8,value:f64@16,quality:u8@24}25:8@0,flag:u8@25,points:3*f32@28,"
        + "grid:2*2*i16@40}48:8")
    #expect(Reading.layout.type.strideByteCount == MemoryLayout<Reading>.stride)
    #expect(Matrix.layout.type.byteCount == MemoryLayout<Matrix>.size)
    #expect(Track.layout.problem == nil && Matrix.layout.problem == nil)
  }

  @Test("comes back from its text with the same fingerprint")
  func roundTrip() {
    for layout in [Reading.layout, NewReading.layout, Track.layout, Matrix.layout, Int.layout, Float.layout] {
      let parsed = LayoutText.parse(Array(layout.description.utf8))
      #expect(parsed?.description == layout.description)
      #expect(parsed?.fingerprint == layout.fingerprint)
    }
  }

  @Test("differs where a name, a type, an offset, a size or the version does, and not for the name of the type")
  func fingerprints() {
    let base = Reading.layout.description
    let others = [
      base.replacing("time", with: "date"), base.replacing("value:f64", with: "value:i64"),
      base.replacing("u32@8", with: "u32@12"), base.replacing("}25:8", with: "}26:8"),
      base.replacing("}25:8", with: "}25:4"), base.replacing("/1 ", with: "/2 "),
    ]
    let fingerprints = others.compactMap { LayoutText.parse(Array($0.utf8))?.fingerprint }
    #expect(Set(fingerprints + [Reading.layout.fingerprint]).count == others.count + 1)
    let renamed = LayoutText.parse(Array(base.replacing("Reading", with: "Sample").utf8))
    #expect(renamed?.fingerprint == Reading.layout.fingerprint)
  }

  @Test("that leaves a field out, takes a computed one or names two alike cannot be used")
  func wrongDeclarations() throws {
    let fixture = try TypedStoreFixture()
    #expect(code { _ = try fixture.store.new("a", MissingLast()) } == .unusableType)
    #expect(code { _ = try fixture.store.new("a", MissingFirst()) } == .unusableType)
    #expect(code { _ = try fixture.store.new("a", ComputedField()) } == .unusableType)
    #expect(code { _ = try fixture.store.new("a", SameName()) } == .unusableType)
    #expect(code { _ = try fixture.store.new("a", Borrowed()) } == .unusableType)
    #expect(try fixture.store.keys() == [])
  }

  @Test("of damaged or hostile text is none, and never a crash")
  func hostileText() {
    for text in [
      "", "/", "x/1 little", "x/1 little {", "x/1 little {}", "x/1 little {a:i64@0}8", "x/1 little {a:i64@8}8:8",
      "x/1 little {a:i64@0}8:3", "x/1 little 99999999999999999999*i8", "x/1 little 1000000*1000000*1000000*i64",
      "x/1 big i64", "x/1 little i65", "x/1 little i64 ", "x/1 little {a:i64@99999999999}8:8",
      "x/1 little " + String(repeating: "1*", count: 100) + "i8", "x/1 little {a:i64@0,}8:8",
    ] {
      #expect(LayoutText.parse(Array(text.utf8)) == nil, "\(text)")
    }
    let seed = TestSeed("hostile layouts", default: 81)
    var generator = seed.generator
    let base = Array(Track.layout.description.utf8)
    var negativeCount = 0
    for _ in 0..<5000 {
      var bytes = base
      for _ in 0...generator.below(3) { bytes[generator.below(bytes.count)] = UInt8(generator.below(256)) }
      if generator.below(4) == 0 { bytes.removeLast(generator.below(bytes.count)) }
      // Whatever it is, its numbers can be used.
      if let layout = LayoutText.parse(bytes), layout.type.byteCount < 0 { negativeCount += 1 }
    }
    #expect(negativeCount == 0, "\(seed)")
  }
}

private struct MissingLast: ChunkStorable {
  var first: Int64 = 0
  var last: Int32 = 0
  static let layout = StructureLayout(of: Self.self, version: 1, .field("first", \.first))
}

private struct MissingFirst: ChunkStorable {
  var first: Int64 = 0
  var last: Int32 = 0
  static let layout = StructureLayout(of: Self.self, version: 1, .field("last", \.last))
}

private struct ComputedField: ChunkStorable {
  var first: Int64 = 0
  var half: Int64 { first / 2 }
  static let layout = StructureLayout(of: Self.self, version: 1, .field("first", \.first), .field("half", \.half))
}

private struct SameName: ChunkStorable {
  var first: Int64 = 0
  var last: Int64 = 0
  static let layout = StructureLayout(of: Self.self, version: 1, .field("first", \.first), .field("first", \.last))
}

private struct Borrowed: ChunkStorable {
  var first: Int64 = 0
  var last: Int64 = 0
  static let layout = Reading.layout
}
