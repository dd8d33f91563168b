import Codecs
import StorageIO

/// What is fed with bytes until it traps, hangs or takes too much memory. What a target expects of the results it says
/// with `precondition`.
struct FuzzTarget: Sendable {
  let name: String
  let run: @Sendable ([UInt8]) -> Void

  static let all = formatTargets + indexTargets + decoderTargets + textTargets
}

/// Bytes of a fixed length, the rest zeros, as they are and with a checksum that is right: without it no decoder would
/// get beyond its first check.
func forms(_ bytes: [UInt8], byteCount: Int, checksumAt place: Int, of covered: Range<Int>) -> [[UInt8]] {
  var whole = Array(bytes.prefix(byteCount))
  whole += [UInt8](repeating: 0, count: byteCount - whole.count)
  var sealed = whole
  let checksum = Array(sealed[covered]).withRawSpan { CRC32C.checksum(of: $0) }
  for index in 0..<4 { sealed[place + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(index))) }
  return [whole, sealed]
}

/// Calls `body` with bytes that may not be what it wants.
func tolerating<E: Error>(_ body: () throws(E) -> Void) {
  do throws(E) { try body() } catch {}
}
