import StorageIO

/// Runs of an object that are not in holes: what is to be copied or converted of it.
struct DataRuns {
  private let map: ChunkMap
  private var rest: Range<Int>

  /// - Parameter range: in the chunk.
  init(of range: Range<Int>, in map: ChunkMap) {
    self.map = map
    rest = range
  }

  mutating func next() throws(ChunkStoreError) -> Range<Int>? {
    guard !rest.isEmpty, let data = try map.nextData(from: rest.lowerBound), data < rest.upperBound else { return nil }
    let start = max(data, rest.lowerBound)
    let end = min(try map.nextHole(from: start), rest.upperBound)
    rest = end..<rest.upperBound
    return start..<end
  }
}

/// Copies the bytes of objects from place to place; holes stay holes.
enum ObjectCopy {
  private static let windowByteCount = 1 << 20

  /// Copies `range` of one chunk to `target` of another, which is all zeros.
  static func copy(
    _ range: Range<Int>, of source: ChunkMap, to target: Int, of destination: ChunkMap
  ) throws(ChunkStoreError) {
    var runs = DataRuns(of: range, in: source)
    while let run = try runs.next() {
      var start = run.lowerBound
      while start < run.upperBound {
        let window = start..<min(start + windowByteCount, run.upperBound)
        let offset = target + (window.lowerBound - range.lowerBound)
        try destination.reserve(offset..<(offset + window.count))
        try destination.write(try source.copy(window), at: offset)
        start = window.upperBound
      }
    }
  }
}
