import Codecs
import Synchronization

/// Where one part lies in the input and, compressed, in the file of streams.
struct BarePart: Hashable, Sendable {
  let rawOffset: Int
  let rawByteCount: Int
  let offset: Int
  let storedByteCount: Int
  /// Zeros where nothing is hashed.
  let digest: MD5Digest
}

/// What the bare work keeps in place of an index.
struct BareTable: Sendable {
  /// In the order of the input.
  let parts: [BarePart]

  private static let entryByteCount = 4 * 8 + MD5Digest.byteCount
  private static let largestNumber = 1 << 48

  init(parts: [BarePart]) { self.parts = parts }

  /// The bytes of all streams.
  var storedByteCount: Int { parts.reduce(0) { sum, part in sum + part.storedByteCount } }

  /// Four little-endian numbers of 64 bits and the digest, for each part.
  func encoded() -> [UInt8] {
    parts.flatMap { part in
      [part.rawOffset, part.rawByteCount, part.offset, part.storedByteCount].flatMap { number in
        (0..<8).map { index in UInt8(truncatingIfNeeded: number >> (8 * index)) }
      } + part.digest.bytes
    }
  }

  /// - Throws: `.failed` when the bytes are no table.
  init(decoding bytes: [UInt8]) throws(BenchFailure) {
    guard bytes.count.isMultiple(of: BareTable.entryByteCount) else {
      throw BenchFailure(.failed, "a table of \(bytes.count) bytes is cut off")
    }
    parts = stride(from: 0, to: bytes.count, by: BareTable.entryByteCount).map { start in
      let numbers = stride(from: start, to: start + 4 * 8, by: 8).map { place in
        bytes[place..<(place + 8)].reversed().reduce(0) { number, byte in number << 8 | Int(byte) }
      }
      return BarePart(
        rawOffset: numbers[0], rawByteCount: numbers[1], offset: numbers[2], storedByteCount: numbers[3],
        digest: MD5Digest(bytes: bytes[(start + 4 * 8)..<(start + BareTable.entryByteCount)]))
    }
    let numbers = parts.flatMap { [$0.rawOffset, $0.rawByteCount, $0.offset, $0.storedByteCount] }
    guard numbers.allSatisfy({ 0...BareTable.largestNumber ~= $0 }) else {
      throw BenchFailure(.failed, "a table is damaged")
    }
  }
}

/// Gives streams their places, one behind the other in the order in which they are done.
final class BarePlacement: Sendable {
  private struct State {
    var end = 0
    var writebackEnd = 0
    var parts: [BarePart?]
  }

  private static let strideByteCount = 8 << 20
  private let state: Mutex<State>

  init(partCount: Int) { state = Mutex(State(parts: Array(repeating: nil, count: partCount))) }

  /// The place of a stream, and a stretch before it that may go to the device now, when one is full.
  func place(
    _ number: Int, _ rawOffset: Int, _ rawByteCount: Int, _ storedByteCount: Int, _ digest: MD5Digest
  ) -> (part: BarePart, fullStride: Range<Int>?) {
    state.withLock { state in
      let part = BarePart(
        rawOffset: rawOffset, rawByteCount: rawByteCount, offset: state.end, storedByteCount: storedByteCount,
        digest: digest)
      state.parts[number] = part
      state.end += storedByteCount
      guard part.offset - state.writebackEnd >= BarePlacement.strideByteCount else { return (part, nil) }
      defer { state.writebackEnd = part.offset }
      return (part, state.writebackEnd..<part.offset)
    }
  }

  func table() -> BareTable { BareTable(parts: state.withLock { state in state.parts.compactMap { $0 } }) }
}
