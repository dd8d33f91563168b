import StorageIO

/// Reads a segment file in pieces, so that a scan makes few calls, and over a hole none.
///
/// Belongs to one thread.
struct RecordWindow {
  private static let byteCount = 64 << 10

  private let file: File
  private let skipsUnreadable: Bool
  private var start = 0
  private var piece: [UInt8] = []
  /// The page that could not be read last.
  private var unreadable = 0..<0
  /// What was skipped because it could not be read.
  private(set) var unreadableByteCount = 0

  /// - Parameter skipsUnreadable: Whether a page that cannot be read is taken for one without records.
  init(file: File, skipsUnreadable: Bool = false) {
    self.file = file
    self.skipsUnreadable = skipsUnreadable
  }

  /// The 128 bytes at `offset`, fewer where the file ends or cannot be read.
  mutating func header(at offset: Int) throws(StoreError) -> [UInt8] {
    try load(offset, RecordHeader.byteCount)
    return Array(piece.dropFirst(offset - start).prefix(RecordHeader.byteCount))
  }

  /// The first multiple of the alignment from `offset` on where the magic of a record stands; `end` when there is none
  /// before it.
  mutating func nextMagic(from offset: Int, upTo end: Int) throws(StoreError) -> Int {
    let magic = RecordHeader.magicBytes
    var offset = offset
    while offset < end {
      try load(offset, magic.count)
      if piece.count - (offset - start) < magic.count {
        guard unreadable.contains(offset) else { return end }
        offset = unreadable.upperBound
        continue
      }
      var position = offset - start
      while position + magic.count <= piece.count {
        if piece[position] == magic[0], piece[position + 1] == magic[1], piece[position + 2] == magic[2],
          piece[position + 3] == magic[3]
        {
          return min(start + position, end)
        }
        position += Format.alignment
      }
      // Behind the piece; over a hole at once to what follows it.
      let next = start + position
      guard let data = try nextData(from: next) else { return end }
      offset = max(next, data & ~(Format.alignment - 1))
    }
    return end
  }

  /// Has the `count` bytes at `offset` in the piece, as far as they are there.
  private mutating func load(_ offset: Int, _ count: Int) throws(StoreError) {
    if offset >= start && offset + count <= start + piece.count { return }
    start = offset
    piece = []
    if unreadable.contains(offset) { return }
    let file = file
    do throws(SystemCallFailure) {
      piece = try file.bytes(at: offset, byteCount: RecordWindow.byteCount)
    } catch {
      guard skipsUnreadable else { throw StoreError(error) }
      try loadPage(offset)
    }
  }

  /// As much of the page that `offset` lies in as can be read: all of it from there, or nothing.
  private mutating func loadPage(_ offset: Int) throws(StoreError) {
    let page = offset & ~(pageByteCount - 1)
    do throws(SystemCallFailure) {
      piece = try file.bytes(at: offset, byteCount: page + pageByteCount - offset)
    } catch {
      unreadable = page..<(page + pageByteCount)
      unreadableByteCount += pageByteCount
    }
  }

  private func nextData(from offset: Int) throws(StoreError) -> Int? {
    do throws(SystemCallFailure) { return try file.nextData(from: offset) } catch {
      guard skipsUnreadable else { throw StoreError(error) }
      return offset
    }
  }
}
