import StorageIO

/// A file or directory at its place in the tree. Belongs to the tree, and is touched under its lock only.
final class TreeEntry {
  enum Kind {
    case file(StagedFile)
    case directory
  }

  // What a search looks at comes first, so that it lies together.
  let kind: Kind
  private var key: NameKey
  private var nextOfSameHash: TreeEntry?
  private(set) var name: [UInt8]
  /// Whoever has this has it as a child, so it lives as long as it is named here.
  private(set) unowned var parent: TreeEntry?
  private(set) var modifiedNanoseconds = Clock.wallNanoseconds()
  let createdNanoseconds: Int64
  private let charge: Charge
  private var nameCharge: Charge?
  /// By the hash of their names; those of one hash are chained.
  private var children: [UInt64: TreeEntry] = [:]
  private(set) var childCount = 0

  /// What an entry takes beside the bytes of a file: objects, locks, its place among its siblings, and a name that is not
  /// long.
  static let overheadByteCount = 768
  private static let shortNameByteCount = 48

  /// - Throws: `.quotaExceeded`.
  init(_ kind: Kind, name: [UInt8], _ quota: StagingQuota) throws(StagingError) {
    charge = try quota.charge(TreeEntry.overheadByteCount)
    nameCharge = try TreeEntry.nameCharge(name, quota)
    self.kind = kind
    self.name = name
    key = NameKey(name, 0..<name.count)
    createdNanoseconds = modifiedNanoseconds
  }

  /// For a long name only: so that a rename works when the quota is used up.
  static func nameCharge(_ name: [UInt8], _ quota: StagingQuota) throws(StagingError) -> Charge? {
    name.count > shortNameByteCount ? try quota.charge(name.count) : nil
  }

  var isDirectory: Bool { file == nil }

  var file: StagedFile? {
    if case .file(let file) = kind { return file }
    return nil
  }

  /// In order of their names.
  var sortedChildren: [TreeEntry] { unsortedChildren.sorted { $0.name.lexicographicallyPrecedes($1.name) } }

  private var unsortedChildren: [TreeEntry] {
    var all: [TreeEntry] = []
    all.reserveCapacity(childCount)
    for first in children.values {
      var entry: TreeEntry? = first
      while let found = entry {
        all.append(found)
        entry = found.nextOfSameHash
      }
    }
    return all
  }

  /// The child whose name is `range` of `bytes`.
  func child(_ bytes: [UInt8], _ range: Range<Int>) -> TreeEntry? {
    let key = NameKey(bytes, range)
    var entry = children[key.hash]
    while let found = entry {
      if found.key == key, key.isWholeName || found.name.elementsEqual(bytes[range]) { return found }
      entry = found.nextOfSameHash
    }
    return nil
  }

  /// Adds an entry whose name no other child has.
  func add(_ entry: TreeEntry) {
    let hash = entry.key.hash
    entry.nextOfSameHash = children[hash]
    entry.parent = self
    children[hash] = entry
    childCount += 1
    modifiedNanoseconds = Clock.wallNanoseconds()
  }

  /// Takes a child out.
  func remove(_ entry: TreeEntry) {
    let hash = entry.key.hash
    if children[hash] === entry {
      children[hash] = entry.nextOfSameHash
    } else {
      var previous = children[hash]
      while let found = previous, found.nextOfSameHash !== entry { previous = found.nextOfSameHash }
      previous?.nextOfSameHash = entry.nextOfSameHash
    }
    entry.nextOfSameHash = nil
    entry.parent = nil
    childCount -= 1
    modifiedNanoseconds = Clock.wallNanoseconds()
  }

  /// Gives an entry that has no place another name.
  func rename(to name: [UInt8], _ nameCharge: Charge?) {
    self.name = name
    key = NameKey(name, 0..<name.count)
    self.nameCharge = nameCharge
  }

  /// Lets go of the children, each without a parent: so that the end of a deep tree is no deep recursion.
  func releaseChildren() -> [TreeEntry] {
    let released = unsortedChildren
    for child in released {
      child.parent = nil
      child.nextOfSameHash = nil
    }
    children = [:]
    childCount = 0
    return released
  }
}

/// What is asked of a name in a search: most are told apart by it, without going to their bytes elsewhere in memory.
private struct NameKey: Equatable {
  /// Of all bytes. The dictionary hashes once more, with a seed.
  private(set) var hash: UInt64
  private var firstWord: UInt64 = 0
  private var secondWord: UInt64 = 0
  private let byteCount: Int

  /// Whether two names with this key are the same.
  var isWholeName: Bool { byteCount <= 2 * NameKey.wordByteCount }

  private static let wordByteCount = 8

  init(_ bytes: [UInt8], _ range: Range<Int>) {
    byteCount = range.count
    hash = UInt64(range.count)
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(start + NameKey.wordByteCount, range.upperBound)
      var word: UInt64 = 0
      for index in start..<end { word = word << 8 | UInt64(bytes[index]) }
      if start == range.lowerBound {
        firstWord = word
      } else if start == range.lowerBound + NameKey.wordByteCount {
        secondWord = word
      }
      hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
      hash ^= hash >> 32
      start = end
    }
  }
}
