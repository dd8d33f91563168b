import StorageIO

/// One damage to a file of a store that nobody has open, with a text that makes it again.
struct DamageCase: Hashable, Sendable, CustomStringConvertible {
  enum Damage: Hashable, Sendable {
    case flip(offset: Int, bit: Int)
    case cut(Int)
    /// So many bytes behind the end, zeros or others.
    case extended(Int, isZero: Bool)
    case zeroedPage(Int)
    case pageOfOnes(Int)
    /// A page with the bytes of another one of the same file, written to the wrong place.
    case misplacedPage(Int, from: Int)
    /// As it was some changes before: a write that was lost.
    case olderPage(Int)
    /// Two of them.
    case olderPages(Int, Int)
    /// All pages but the two meta pages.
    case olderButForMeta
    /// As another store has it, to which the same was done.
    case foreignPage(Int)
    case missing
    /// A copy of the file under another name.
    case duplicated(as: String)
    case exchanged(with: String)
    /// The whole file as another store has it.
    case foreign
  }

  static let pageByteCount = 4096

  let file: String
  let damage: Damage

  var description: String {
    switch damage {
    case .flip(let offset, let bit): "flip:\(file):\(offset):\(bit)"
    case .cut(let byteCount): "cut:\(file):\(byteCount)"
    case .extended(let byteCount, let isZero): "extended:\(file):\(byteCount):\(isZero ? "zeros" : "noise")"
    case .zeroedPage(let page): "zeroed:\(file):\(page)"
    case .pageOfOnes(let page): "ones:\(file):\(page)"
    case .misplacedPage(let page, let other): "misplaced:\(file):\(page):\(other)"
    case .olderPage(let page): "older:\(file):\(page)"
    case .olderPages(let page, let other): "older-pair:\(file):\(page):\(other)"
    case .olderButForMeta: "older-but-meta:\(file)"
    case .foreignPage(let page): "foreign-page:\(file):\(page)"
    case .missing: "missing:\(file)"
    case .duplicated(let name): "duplicated:\(file):\(name)"
    case .exchanged(let name): "exchanged:\(file):\(name)"
    case .foreign: "foreign:\(file)"
    }
  }

  init(_ file: String, _ damage: Damage) {
    self.file = file
    self.damage = damage
  }

  /// Reads what ``description`` gave; nil for anything else.
  init?(_ text: String) {
    let words = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    guard words.count >= 2 else { return nil }
    file = words[1]
    let numbers = words.dropFirst(2).map { Int($0) ?? 0 }
    switch (words[0], words.count) {
    case ("flip", 4) where (0..<8).contains(numbers[1]): damage = .flip(offset: numbers[0], bit: numbers[1])
    case ("cut", 3): damage = .cut(numbers[0])
    case ("extended", 4): damage = .extended(numbers[0], isZero: words[3] == "zeros")
    case ("zeroed", 3): damage = .zeroedPage(numbers[0])
    case ("ones", 3): damage = .pageOfOnes(numbers[0])
    case ("misplaced", 4): damage = .misplacedPage(numbers[0], from: numbers[1])
    case ("older", 3): damage = .olderPage(numbers[0])
    case ("older-pair", 4): damage = .olderPages(numbers[0], numbers[1])
    case ("older-but-meta", 2): damage = .olderButForMeta
    case ("foreign-page", 3): damage = .foreignPage(numbers[0])
    case ("missing", 2): damage = .missing
    case ("duplicated", 3): damage = .duplicated(as: words[2])
    case ("exchanged", 3): damage = .exchanged(with: words[2])
    case ("foreign", 2): damage = .foreign
    default: return nil
    }
  }

  /// Whether the file keeps its other bytes, so that nothing but `changedRange` is different.
  var isFlip: Bool {
    if case .flip = damage { return true }
    return false
  }

  /// Whether the store has what is to be damaged.
  func isPossible(_ stores: ReferenceStores) -> Bool {
    guard let bytes = stores.reference.files[file] else { return false }
    switch damage {
    case .flip, .zeroedPage, .pageOfOnes, .misplacedPage, .olderPage, .foreignPage:
      let range = changedRange(of: bytes.count)
      return !range.isEmpty && bytes.indices.contains(range.lowerBound) && range.upperBound <= bytes.count
    case .cut(let byteCount): return (0...bytes.count).contains(byteCount)
    case .extended(let byteCount, _): return (0...(1 << 30)).contains(byteCount)
    case .exchanged(let other): return stores.reference.files[other] != nil
    case .olderPages, .olderButForMeta: return stores.older.files[file] != nil
    case .missing, .duplicated, .foreign: return true
    }
  }

  /// Whether it may leave no sign that there was something: then a rebuild, which knows only the segments, cannot say what
  /// is gone. A verification, which has the index, can.
  var canLeaveNoTrace: Bool {
    switch damage {
    case .flip, .extended, .pageOfOnes: false
    default: true
    }
  }

  /// The bytes of the file that are different afterwards, up to `byteCount` of them; all for whole files.
  func changedRange(of byteCount: Int) -> Range<Int> {
    switch damage {
    case .flip(let offset, _): max(0, offset)..<max(0, offset) + 1
    case .cut(let rest): min(rest, byteCount)..<byteCount
    case .extended: byteCount..<byteCount
    case .zeroedPage(let page), .pageOfOnes(let page), .misplacedPage(let page, _), .olderPage(let page),
      .foreignPage(let page):
      DamageCase.range(ofPage: page, byteCount)
    case .missing, .exchanged, .foreign, .olderPages, .olderButForMeta: 0..<byteCount
    case .duplicated: 0..<0
    }
  }

  /// Empty where the file has no such page.
  private static func range(ofPage page: Int, _ byteCount: Int) -> Range<Int> {
    guard (0...(1 << 30)).contains(page), page * pageByteCount < byteCount else { return 0..<0 }
    return page * pageByteCount..<min(byteCount, (page + 1) * pageByteCount)
  }

  // MARK: Doing it

  /// Damages the copy of `stores.reference` in `directory`.
  func apply(to directory: FilePath, _ stores: ReferenceStores) throws(BenchFailure) {
    let bytes = stores.reference[file]
    try BenchFailure.translating { () throws(SystemCallFailure) in
      let path = directory.appending(file)
      let parent = try Directory.open(directory)
      let name = Array(file.utf8)
      switch damage {
      case .flip(let offset, let bit):
        try File.open(path, .write).write([bytes[offset] ^ 1 << UInt8(bit)], at: offset)
      case .cut(let byteCount): try File.open(path, .write).truncate(to: byteCount)
      case .extended(let byteCount, let isZero):
        var random = SplitMix64(seed: UInt64(byteCount))
        let added = (0..<byteCount).map { _ in isZero ? 0 : UInt8(truncatingIfNeeded: random.next()) }
        try File.open(path, .write).write(added, at: bytes.count)
      case .missing: try parent.removeFile(name)
      case .duplicated(let copy):
        try ReferenceImage.remove(copy, in: directory)
        try ReferenceImage.write(bytes, to: directory.appending(copy))
      case .exchanged(let other):
        try parent.rename(name, to: Array("exchanged".utf8), replacing: false)
        try parent.rename(Array(other.utf8), to: name, replacing: false)
        try parent.rename(Array("exchanged".utf8), to: Array(other.utf8), replacing: false)
      case .foreign:
        try parent.removeFile(name)
        try ReferenceImage.write(stores.foreign[file], to: path)
      case .olderPages, .olderButForMeta:
        let target = try File.open(path, .write)
        for page in olderPages(stores) {
          let old = DamageCase(file, .olderPage(page))
          try target.write(old.page(bytes, stores), at: old.changedRange(of: bytes.count).lowerBound)
        }
      case .zeroedPage, .pageOfOnes, .misplacedPage, .olderPage, .foreignPage:
        try File.open(path, .write).write(page(bytes, stores), at: changedRange(of: bytes.count).lowerBound)
      }
    }
  }

  /// Writes the byte of a flip as it was.
  func undoFlip(in directory: FilePath, _ stores: ReferenceStores) throws(BenchFailure) {
    guard case .flip(let offset, _) = damage else { return }
    try BenchFailure.translating { () throws(SystemCallFailure) in
      try File.open(directory.appending(file), .write).write([stores.reference[file][offset]], at: offset)
    }
  }

  /// The pages that are as they were, of those that have changed since.
  private func olderPages(_ stores: ReferenceStores) -> [Int] {
    let changed = DamageCase.changedPages(of: file, stores)
    switch damage {
    case .olderPages(let page, let other): return changed.filter { $0 == page || $0 == other }
    case .olderButForMeta: return changed.filter { $0 > 1 }
    default: return []
    }
  }

  /// The pages of a file that are not what they were before the last changes.
  static func changedPages(of file: String, _ stores: ReferenceStores) -> [Int] {
    let pageCount = (stores.reference[file].count + pageByteCount - 1) / pageByteCount
    return (0..<pageCount).filter { !DamageCase(file, .olderPage($0)).isNothing(stores) }
  }

  /// The new bytes of a page, as many as the file has there.
  private func page(_ bytes: [UInt8], _ stores: ReferenceStores) -> [UInt8] {
    let range = changedRange(of: bytes.count)
    func part(_ bytes: [UInt8], _ page: Int) -> [UInt8] {
      let start = min(max(0, page) * DamageCase.pageByteCount, bytes.count)
      let found = Array(bytes[start..<min(bytes.count, start + range.count)])
      return found + [UInt8](repeating: 0, count: range.count - found.count)
    }
    return switch damage {
    case .pageOfOnes: [UInt8](repeating: 0xFF, count: range.count)
    case .misplacedPage(_, let other): part(bytes, other)
    case .olderPage(let page): part(stores.older[file], page)
    case .foreignPage(let page): part(stores.foreign[file], page)
    default: [UInt8](repeating: 0, count: range.count)
    }
  }

  /// Whether it changes nothing: a page that is the same already.
  func isNothing(_ stores: ReferenceStores) -> Bool {
    let bytes = stores.reference[file]
    switch damage {
    case .zeroedPage, .pageOfOnes, .misplacedPage, .olderPage, .foreignPage:
      return Array(bytes[changedRange(of: bytes.count)]) == page(bytes, stores)
    case .foreign: return bytes == stores.foreign[file]
    case .extended(let byteCount, _): return byteCount == 0
    case .cut(let byteCount): return byteCount >= bytes.count
    default: return false
    }
  }
}
