import StorageIO

/// The bytes of a file, in pieces one behind the other.
///
/// A value: copies share their pieces, each of which is charged once, until one of them writes into a piece and so gets its
/// own, charged before it is made. So a snapshot costs no memory, whatever the size, and sees no later change.
/// Every change is done whole or, when there is no room, not at all.
struct StagedContent: Sendable {
  /// A run of bytes, in one array.
  struct Piece: Sendable {
    /// The first byte of the file that it holds.
    let start: Int
    var bytes: [UInt8]
    /// How many of them count: fewer than there are where the file was cut.
    var byteCount: Int
    /// For the bytes, or for the room that they may grow into; shared by all contents that have this piece.
    var charge: Charge
    /// How many bytes may be added in place.
    var roomByteCount = 0

    var end: Int { start + byteCount }
  }

  private(set) var pieces: [Piece] = []
  private(set) var byteCount = 0
  /// Where the bytes are, if they are not in memory; then there are no pieces, and nothing is written.
  let overflowed: OverflowedFile?
  /// For the list of pieces, if it is not the first one that has them.
  private var listCharge: Charge?

  /// What a piece takes beside its bytes: the header of its array, its charge, and its place in two lists.
  static let pieceOverheadByteCount = 256
  /// What a place in a list takes.
  private static let listPlaceByteCount = 80
  /// A file that grows gets room for half as much again, and pieces of this size when it is large.
  private static let largePieceByteCount = 1 << 20
  /// From here on a piece that grows has a power of two as its room, and is kept for the next when its file goes.
  private static let smallestKeptByteCount = 64 << 10
  /// Zeros are made in pieces of that many, so that little is copied when part of them is shared.
  private static let zeroPieceByteCount = 1 << 20
  /// What is cut off a piece is given back if it is as much as that.
  private static let wasteByteCount = 4 << 10

  /// What an array of that capacity is charged. The allocator takes whole pages for large ones.
  private static func chargedByteCount(_ capacity: Int) -> Int {
    guard capacity >= pagedByteCount, capacity <= Int.max - 2 * pageByteCount else {
      return capacity.addingReportingOverflow(pieceOverheadByteCount).overflow
        ? capacity : capacity + pieceOverheadByteCount
    }
    return (capacity + pieceOverheadByteCount + pageByteCount - 1) / pageByteCount * pageByteCount
  }

  private static let pagedByteCount = 128 << 10

  init() { overflowed = nil }

  /// One piece that is not going to be in the tree.
  init(copying bytes: RawSpan, inTransit quota: StagingQuota) throws(StagingError) {
    overflowed = nil
    let charge = try quota.charge(StagedContent.chargedByteCount(bytes.byteCount), isInTransit: true)
    let copy = StagedContent.copy(of: bytes, capacity: bytes.byteCount)
    append([Piece(start: 0, bytes: copy, byteCount: copy.count, charge: charge)])
  }

  init(overflowed file: OverflowedFile) {
    overflowed = file
    byteCount = file.byteCount
  }

  // MARK: Reading

  /// Calls `body` with the bytes of `range`, which the content has, piece by piece; they cannot outlive the call.
  func forEachPiece(
    in range: Range<Int>, _ body: (RawSpan) throws(StagingError) -> Void
  ) throws(StagingError) {
    guard !range.isEmpty else { return }
    precondition(0 <= range.lowerBound && range.upperBound <= byteCount, "\(range) of \(byteCount) bytes")
    if let overflowed { return try overflowed.forEachPiece(in: range, body) }
    var index = pieceIndex(holding: range.lowerBound)
    while index < pieces.count, pieces[index].start < range.upperBound {
      // Not the whole piece: its charge is not wanted, and far away in memory.
      let start = pieces[index].start
      let wanted = range.clamped(to: start..<pieces[index].end)
      try pieces[index].bytes.withRawSpan { (bytes) throws(StagingError) in
        try body(bytes.extracting((wanted.lowerBound - start)..<(wanted.upperBound - start)))
      }
      index += 1
    }
  }

  /// Copies `range` to the start of `destination`.
  func copy(_ range: Range<Int>, into destination: inout MutableRawSpan) throws(StagingError) {
    var done = 0
    try forEachPiece(in: range) { (bytes) in
      destination.copy(bytes, to: done)
      done += bytes.byteCount
    }
  }

  /// Whether all bytes are those of one array.
  var isOneArray: Bool {
    overflowed == nil && (byteCount == 0 || pieces.count == 1 && pieces[0].bytes.count == byteCount)
  }

  /// The bytes of `range`; where a piece has just these, that array, without a copy.
  func bytes(_ range: Range<Int>) throws(StagingError) -> [UInt8] {
    guard !range.isEmpty else { return [] }
    if overflowed == nil {
      let piece = pieces[pieceIndex(holding: range.lowerBound)]
      if piece.start == range.lowerBound && range.count == piece.bytes.count { return piece.bytes }
    }
    var result: [UInt8] = []
    result.reserveCapacity(range.count)
    try forEachPiece(in: range) { (bytes) in result.append(bytes) }
    return result
  }

  /// The index of the piece with the byte at `offset`.
  /// - Complexity: O(log pieces).
  private func pieceIndex(holding offset: Int) -> Int {
    var (low, high) = (0, pieces.count)
    while low < high {
      let middle = (low + high) / 2
      if pieces[middle].end <= offset { low = middle + 1 } else { high = middle }
    }
    return low
  }

  // MARK: Writing

  /// Writes `source` at `offset`, over what is there and on behind the end; zeros fill what lies between.
  mutating func write(
    _ source: RawSpan, at offset: Int, _ storage: StagingStorage, _ quota: StagingQuota
  ) throws(StagingError) {
    let overwritten = offset..<max(offset, min(offset + source.byteCount, byteCount))
    let tail = source.extracting(overwritten.count..<source.byteCount)
    let gapByteCount = tail.byteCount == 0 ? 0 : max(0, offset - byteCount)
    // Everything is charged, and what is new made, before anything is changed.
    let owned = try chargeShared(in: overwritten, quota)
    let zeros = try StagedContent.zeroPieces(gapByteCount, from: byteCount, quota)
    let inPlaceByteCount = gapByteCount == 0 ? min(tail.byteCount, ownRoomByteCount()) : 0
    let rest = tail.extracting(inPlaceByteCount..<tail.byteCount)
    let start = byteCount + gapByteCount + inPlaceByteCount
    let added = rest.byteCount == 0 ? nil : try newPiece(rest, at: start, storage, quota)
    overwrite(overwritten, with: source, owned)
    appendInPlace(tail.extracting(0..<inPlaceByteCount))
    append(zeros)
    if let added { append([added]) }
  }

  /// Takes `bytes` over as they are, without a copy, behind the end.
  mutating func adopt(_ bytes: [UInt8], _ quota: StagingQuota) throws(StagingError) {
    guard !bytes.isEmpty else { return }
    let charge = try quota.charge(StagedContent.chargedByteCount(bytes.capacity), isChunk: true)
    append([Piece(start: byteCount, bytes: bytes, byteCount: bytes.count, charge: charge)])
  }

  /// Cuts off what lies behind `newByteCount`, or fills up with zeros to there.
  mutating func truncate(to newByteCount: Int, _ quota: StagingQuota) throws(StagingError) {
    if newByteCount >= byteCount {
      return append(try StagedContent.zeroPieces(newByteCount - byteCount, from: byteCount, quota))
    }
    let keptCount = newByteCount == 0 ? 0 : pieceIndex(holding: newByteCount - 1) + 1
    pieces.removeLast(pieces.count - keptCount)
    if let last = pieces.popLast() {
      pieces.append(StagedContent.shortened(last, to: newByteCount - last.start, quota))
    }
    byteCount = newByteCount
  }

  /// Makes room behind the end, so that writes up to `capacity` bytes in all need none.
  mutating func reserve(_ capacity: Int, _ quota: StagingQuota) throws(StagingError) {
    let wanted = capacity - byteCount
    guard wanted > 0 else { return }
    let charge = try quota.charge(StagedContent.chargedByteCount(wanted), isChunk: true)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(wanted)
    append([Piece(start: byteCount, bytes: bytes, byteCount: 0, charge: charge, roomByteCount: wanted)])
  }

  /// The same bytes for another owner, whose list is charged too: it is a second one as soon as one of them changes.
  func shared(_ quota: StagingQuota) throws(StagingError) -> StagedContent {
    var copy = self
    copy.listCharge = pieces.isEmpty ? nil : try quota.charge(pieces.count * StagedContent.listPlaceByteCount)
    return copy
  }

  /// Ends the use of the bytes; pieces that are not small and that nobody else has are kept for the next.
  mutating func recycle(_ quota: StagingQuota) {
    for index in pieces.indices where pieces[index].charge.byteCount > StagedContent.smallestKeptByteCount {
      let chargedByteCount = pieces[index].charge.byteCount
      let capacity = 1 << (Int.bitWidth - 1 - chargedByteCount.leadingZeroBitCount)
      // One that was taken over may have a little less room, and the same charge.
      guard StagedContent.isKept(capacity), chargedByteCount == StagedContent.chargedByteCount(capacity),
        pieces[index].bytes.capacity >= capacity, isKnownUniquelyReferenced(&pieces[index].charge)
      else { continue }
      var bytes: [UInt8] = []
      swap(&bytes, &pieces[index].bytes)
      quota.keep(bytes, pieces[index].charge, capacity)
    }
    self = StagedContent()
  }

  private static func isKept(_ capacity: Int) -> Bool {
    smallestKeptByteCount <= capacity && capacity <= largePieceByteCount && capacity.nonzeroBitCount == 1
  }

  /// The room of a piece in which `byteCount` bytes are wanted, those to come among them.
  private static func roomByteCount(_ byteCount: Int) -> Int {
    guard byteCount > smallestKeptByteCount else { return byteCount }
    return min(1 << (Int.bitWidth - (byteCount - 1).leadingZeroBitCount), largePieceByteCount)
  }

  // MARK: Steps of a change

  /// Charges for the pieces in `range` that somebody else has too, and that are about to become our own; by index.
  private mutating func chargeShared(
    in range: Range<Int>, _ quota: StagingQuota
  ) throws(StagingError) -> [(index: Int, charge: Charge)] {
    guard !range.isEmpty else { return [] }
    var owned: [(index: Int, charge: Charge)] = []
    var index = pieceIndex(holding: range.lowerBound)
    while index < pieces.count, pieces[index].start < range.upperBound {
      if pieces[index].byteCount > 0, !isKnownUniquelyReferenced(&pieces[index].charge) {
        let byteCount = StagedContent.chargedByteCount(pieces[index].bytes.count)
        owned.append((index, try quota.charge(byteCount, isChunk: true)))
      }
      index += 1
    }
    return owned
  }

  private mutating func overwrite(
    _ range: Range<Int>, with source: RawSpan, _ owned: [(index: Int, charge: Charge)]
  ) {
    guard !range.isEmpty else { return }
    for (index, charge) in owned {
      // A copy in any case: the old array may be ours alone by now, and is larger than what was charged here.
      pieces[index].bytes = pieces[index].bytes.withRawSpan { StagedContent.copy(of: $0, capacity: $0.byteCount) }
      pieces[index].charge = charge
      pieces[index].roomByteCount = 0
    }
    var index = pieceIndex(holding: range.lowerBound)
    while index < pieces.count, pieces[index].start < range.upperBound {
      let start = pieces[index].start
      let part = range.clamped(to: start..<pieces[index].end)
      let bytes = source.extracting((part.lowerBound - range.lowerBound)..<(part.upperBound - range.lowerBound))
      // The array is copied here if somebody else has it.
      pieces[index].bytes.withMutableRawSpan { $0.copy(bytes, to: part.lowerBound - start) }
      index += 1
    }
  }

  /// How much of the room of the last piece is ours to use.
  private mutating func ownRoomByteCount() -> Int {
    guard let last = pieces.indices.last, pieces[last].roomByteCount > 0,
      isKnownUniquelyReferenced(&pieces[last].charge)
    else { return 0 }
    return pieces[last].roomByteCount
  }

  private mutating func appendInPlace(_ bytes: RawSpan) {
    guard bytes.byteCount > 0, let last = pieces.indices.last else { return }
    // The array lost its room if it was copied since, as a reader had it; grown by the way it would get more than is charged.
    pieces[last].bytes.reserveCapacity(pieces[last].bytes.count + pieces[last].roomByteCount)
    pieces[last].bytes.append(bytes)
    pieces[last].byteCount += bytes.byteCount
    pieces[last].roomByteCount -= bytes.byteCount
    byteCount += bytes.byteCount
  }

  private mutating func append(_ added: [Piece]) {
    for piece in added {
      pieces.append(piece)
      byteCount += piece.byteCount
    }
  }

  /// A piece with a copy of `bytes`, and room for more if the quota has it.
  private func newPiece(
    _ bytes: RawSpan, at start: Int, _ storage: StagingStorage, _ quota: StagingQuota
  ) throws(StagingError) -> Piece {
    var capacity = bytes.byteCount
    if byteCount > 0, capacity < StagedContent.largePieceByteCount {
      capacity = StagedContent.roomByteCount(max(capacity + byteCount / 2, storage.smallestPieceByteCount))
    }
    if StagedContent.isKept(capacity), let (kept, charge) = quota.takeKept(capacity) {
      var copy = kept
      copy.append(bytes)
      return Piece(
        start: start, bytes: copy, byteCount: bytes.byteCount, charge: charge,
        roomByteCount: capacity - bytes.byteCount)
    }
    let charge: Charge
    do throws(StagingError) {
      charge = try quota.charge(StagedContent.chargedByteCount(capacity), isChunk: true)
    } catch {
      capacity = bytes.byteCount
      charge = try quota.charge(StagedContent.chargedByteCount(capacity), isChunk: true)
    }
    let copy = StagedContent.copy(of: bytes, capacity: capacity)
    return Piece(
      start: start, bytes: copy, byteCount: copy.count, charge: charge, roomByteCount: capacity - bytes.byteCount)
  }

  /// An array of its own, with room for `capacity` bytes and no more.
  private static func copy(of bytes: RawSpan, capacity: Int) -> [UInt8] {
    var copy: [UInt8] = []
    copy.reserveCapacity(capacity)
    copy.append(bytes)
    return copy
  }

  private static func zeroPieces(
    _ byteCount: Int, from start: Int, _ quota: StagingQuota
  ) throws(StagingError) -> [Piece] {
    guard byteCount > 0 else { return [] }
    // At once, so that one too many is refused before the first is made.
    let pieceCount = (byteCount - 1) / zeroPieceByteCount + 1
    let (total, overflows) = byteCount.addingReportingOverflow(pieceCount * pieceOverheadByteCount)
    if overflows || total > quota.availableByteCount {
      withExtendedLifetime(try quota.charge(overflows ? Int.max : total)) {}
    }
    var pieces: [Piece] = []
    var done = 0
    while done < byteCount {
      let count = min(zeroPieceByteCount, byteCount - done)
      let charge = try quota.charge(chargedByteCount(count), isChunk: true)
      pieces.append(
        Piece(start: start + done, bytes: [UInt8](repeating: 0, count: count), byteCount: count, charge: charge))
      done += count
    }
    return pieces
  }

  /// The start of a piece. What is cut off is given back, unless it is little or there is no room for a copy of the rest.
  private static func shortened(_ piece: Piece, to byteCount: Int, _ quota: StagingQuota) -> Piece {
    guard byteCount < piece.byteCount else { return piece }
    if piece.bytes.count - byteCount >= wasteByteCount {
      do throws(StagingError) {
        let charge = try quota.charge(chargedByteCount(byteCount), isChunk: true)
        let bytes = piece.bytes.withRawSpan { copy(of: $0.extracting(0..<byteCount), capacity: byteCount) }
        return Piece(start: piece.start, bytes: bytes, byteCount: byteCount, charge: charge)
      } catch {}
    }
    return Piece(start: piece.start, bytes: piece.bytes, byteCount: byteCount, charge: piece.charge)
  }
}

/// How the bytes of new files are kept.
public enum StagingStorage: Hashable, Sendable {
  /// As they are written: small pieces for files that are written once, larger ones for those that grow; written over in
  /// place.
  case automatic
  /// The same, but bytes are taken at the end only: a write elsewhere is `.wrongMode`.
  case sequential
  /// In pieces of at least 64 KiB from the second write on, for files that are written over a lot in small places.
  case randomAccess

  var smallestPieceByteCount: Int {
    switch self {
    case .automatic, .sequential: 4 << 10
    case .randomAccess: 64 << 10
    }
  }
}
