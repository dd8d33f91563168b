import ChunkStore

/// What a sensor says at one moment: with a gap before the value, and a size that is no multiple of the alignment.
struct Reading: ChunkStorable, Equatable {
  var time: Int64
  var sensor: UInt32
  var value: Double
  var quality: UInt8

  static let layout = StructureLayout(
    of: Reading.self, version: 1, .field("time", \.time), .field("sensor", \.sensor), .field("value", \.value),
    .field("quality", \.quality))

  init(_ number: Int) {
    time = Int64(number)
    sensor = UInt32(truncatingIfNeeded: number &* 7)
    value = Double(number) / 4
    quality = UInt8(truncatingIfNeeded: number)
  }
}

/// A later version of ``Reading``, with one field more.
struct NewReading: ChunkStorable, Equatable {
  var time: Int64
  var sensor: UInt32
  var site: UInt32
  var value: Double
  var quality: UInt8

  static let layout = StructureLayout(
    of: NewReading.self, version: 2, .field("time", \.time), .field("sensor", \.sensor), .field("site", \.site),
    .field("value", \.value), .field("quality", \.quality))
}

/// A structure of structures and arrays, with a field in what is left behind another one.
struct Track: ChunkStorable {
  var start: Reading
  var flag: UInt8
  var points: InlineArray<3, Float>
  var grid: InlineArray<2, InlineArray<2, Int16>>

  static let layout = StructureLayout(
    of: Track.self, version: 3, .field("start", \.start), .field("flag", \.flag), .field("points", \.points),
    .field("grid", \.grid))
}

/// 512 KiB of numbers in one value.
typealias Matrix = InlineArray<256, InlineArray<256, Double>>
