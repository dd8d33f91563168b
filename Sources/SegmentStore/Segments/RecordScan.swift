import StorageIO

/// Finds the records of a segment by what lies in it, without the index.
///
/// Records follow one another; where one should start and none is intact, the scan goes on at the next multiple of
/// the alignment that holds a valid header, so that damage costs the records it hits and none behind them.
struct RecordScan {
  let segment: SegmentID
  let storePrefix: UInt64
  /// The bytes of the segment that may hold records.
  let range: Range<Int>

  /// Calls `body` with each valid header, in order of offsets.
  /// - Parameter onDamage: called with the place of the first record between two intact ones that is there and not intact.
  ///   What was punched out, or reserved and never used, is zero where a record should start.
  func forEachHeader(
    in window: inout RecordWindow, onDamage: (Int) -> Void = { _ in },
    _ body: (RecordHeader) throws(StoreError) -> Void
  ) throws(StoreError) {
    var offset = range.lowerBound
    // Behind damage a magic may be anything; only where a record has just ended must another one start.
    var isTold = false
    var isBehindHole = false
    while offset + RecordHeader.byteCount <= range.upperBound {
      let bytes = try window.header(at: offset)
      if let header = header(bytes, at: offset),
        offset + header.recordByteCount <= range.upperBound
      {
        try body(header)
        (isTold, isBehindHole) = (false, false)
        offset += header.recordByteCount
      } else {
        if !isTold, isDamaged(bytes, at: offset), !isBehindHole || isOfThisPlace(bytes, offset) {
          onDamage(offset)
          isTold = true
        }
        let next = try window.nextMagic(from: offset + Format.alignment, upTo: range.upperBound)
        // Dead records whose pages were punched out leave zeros, and the rest of the last one; else one was overwritten.
        if !isTold, next < range.upperBound, !isBehindHole {
          isBehindHole = try window.beginsInHole(offset..<next)
          if !isBehindHole {
            onDamage(offset)
            isTold = true
          }
        }
        offset = next
      }
    }
    guard offset < range.upperBound, !isTold, !isBehindHole else { return }
    if isDamaged(try window.header(at: offset), at: offset) { onDamage(offset) }
  }

  /// Whether bytes that are no header are more than what is left of a dead record: whole pages are punched out, and with
  /// them perhaps one half of a header.
  private func isDamaged(_ bytes: [UInt8], at offset: Int) -> Bool {
    let firstHalf = bytes.prefix(Format.alignment)
    let secondHalf = bytes.dropFirst(Format.alignment)
    let isZero = { (half: ArraySlice<UInt8>) in half.allSatisfy { $0 == 0 } }
    let crossesPage = (offset + Format.alignment) % pageByteCount == 0
    return crossesPage ? !isZero(firstHalf) && !isZero(secondHalf) : !isZero(firstHalf) || !isZero(secondHalf)
  }

  /// Whether bytes that are no intact header were one of this place: two of three numbers say so. What a dead record leaves
  /// behind a hole may look like the header of another place, where a segment was stored as a file.
  private func isOfThisPlace(_ bytes: [UInt8], _ offset: Int) -> Bool {
    guard bytes.count == RecordHeader.byteCount else { return false }
    let reader = ByteReader(bytes)
    let matches = [
      reader.get(RecordHeader.Offset.segment) == segment.rawValue,
      reader.get(RecordHeader.Offset.offset) == UInt64(offset),
      reader.get(RecordHeader.Offset.storePrefix) == storePrefix,
    ]
    return matches.count { $0 } >= 2
  }

  private func header(_ bytes: [UInt8], at offset: Int) -> RecordHeader? {
    guard bytes.count == RecordHeader.byteCount, bytes.starts(with: RecordHeader.magicBytes) else { return nil }
    do throws(FormatFailure) {
      return try RecordHeader(decoding: bytes, segment: segment, offset: offset, storePrefix: storePrefix)
    } catch {
      return nil
    }
  }
}
