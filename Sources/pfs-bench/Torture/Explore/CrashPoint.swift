/// A moment at which the power may go, with all that is not durable then.
struct CrashPoint: Sendable {
  /// Something of which a crash leaves one version.
  struct Thing: Sendable {
    enum Subject: Hashable, Sendable {
      /// Made or not.
      case operation(Int)
      /// How many of the operations that are left were made.
      case operations
      case size(DirectoryTree.Node)
      case page(DirectoryTree.Node, Int)
    }

    let subject: Subject
    /// When each version came, the durable one left out.
    let events: [Int]

    var versionCount: Int { events.count + 1 }

    func version(_ pick: StateChoice.Pick) -> Int {
      switch pick {
      case .oldest: 0
      case .newest: events.count
      case .version(let number): min(max(number, 0), events.count)
      }
    }
  }

  let number: Int
  /// What was going on.
  let reason: String
  /// How many marks the workload had made.
  let markCount: Int
  private let names: DirectoryHistory
  private let files: [DirectoryTree.Node: FileHistory]
  private let strictThings: [Thing]
  private let orderedThings: [Thing]

  init(
    number: Int, reason: String, markCount: Int, names: DirectoryHistory, files: [DirectoryTree.Node: FileHistory]
  ) {
    self.number = number
    self.reason = reason
    self.markCount = markCount
    self.names = names
    self.files = files
    var fileThings: [Thing] = []
    for node in names.reachableNodes.sorted() {
      guard let file = files[node] else { continue }
      if !file.pendingSizes.isEmpty {
        fileThings.append(Thing(subject: .size(node), events: file.pendingSizes.map(\.event)))
      }
      for page in file.pendingPages.keys.sorted() {
        fileThings.append(
          Thing(subject: .page(node, page), events: (file.pendingPages[page] ?? []).map(\.event)))
      }
    }
    strictThings =
      names.strictlyPending.map { Thing(subject: .operation($0), events: [names.operations[$0].event]) } + fileThings
    let lastOperations = names.operations.suffix(names.orderedPendingCount)
    orderedThings =
      (lastOperations.isEmpty ? [] : [Thing(subject: .operations, events: lastOperations.map(\.event))]) + fileThings
  }

  func things(_ model: StateChoice.Model) -> [Thing] { model == .strict ? strictThings : orderedThings }

  /// The directory that `choice` leaves.
  /// - Throws: `.usage` for a choice that is of another point.
  func state(_ choice: StateChoice) throws(BenchFailure) -> CrashState {
    let things = things(choice.model)
    guard choice.picks.count == things.count, choice.tears.allSatisfy({ things.indices.contains($0.thing) }) else {
      throw BenchFailure(
        .usage, "the state has \(choice.picks.count) things, and point \(number) (\(reason)) \(things.count)")
    }
    var versions: [Thing.Subject: Int] = [:]
    versions.reserveCapacity(things.count)
    for (thing, pick) in zip(things, choice.picks) { versions[thing.subject] = thing.version(pick) }
    var tears: [Thing.Subject: StateChoice.Tear] = [:]
    for tear in choice.tears { tears[things[tear.thing].subject] = tear }
    return CrashState(tree(choice.model, versions)) { node in
      // A directory that was made and has lost its names is one still: only files have a history.
      guard let file = files[node] else { return nil }
      return file.pages(sizePick: versions[.size(node)] ?? 0) { (page, allowed) in
        let subject = Thing.Subject.page(node, page)
        let version = min(max(versions[subject] ?? 0, allowed.lowerBound), allowed.upperBound)
        guard let tear = tears[subject], tear.olderVersion >= allowed.lowerBound,
          file.canTear(page, from: tear.olderVersion, to: version)
        else {
          return file.version(version, of: page)
        }
        return file.version(version, of: page).torn(over: file.version(tear.olderVersion, of: page), mask: tear.mask)
      }
    }
  }

  private func tree(_ model: StateChoice.Model, _ versions: [Thing.Subject: Int]) -> DirectoryTree {
    switch model {
    case .ordered: return names.orderedTree(versions[.operations] ?? 0)
    case .strict:
      return names.strictTree(Set(names.strictlyPending.filter { versions[.operation($0)] == 1 }))
    }
  }
}

/// A directory as a crash leaves it.
struct CrashState: Sendable {
  struct File: Sendable {
    let path: [UInt8]
    let byteCount: Int
    /// As many as are not zeros at the end of the file, or more.
    let pages: [PageBytes]
  }

  /// Relative to the root, each behind the one that it is in.
  private(set) var directories: [[UInt8]] = []
  private(set) var files: [File] = []
  /// The same for the same names and bytes.
  private(set) var hash: UInt64 = 0

  init() {}

  init(
    _ tree: DirectoryTree, _ content: (DirectoryTree.Node) -> (byteCount: Int, pages: [PageBytes])?
  ) {
    add(DirectoryTree.root, [], of: tree, content)
  }

  private mutating func add(
    _ directory: DirectoryTree.Node, _ path: [UInt8], of tree: DirectoryTree,
    _ content: (DirectoryTree.Node) -> (byteCount: Int, pages: [PageBytes])?
  ) {
    guard let names = tree.entries[directory] else { return }
    for (name, node) in names.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let full = path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
      if let (byteCount, pages) = content(node) {
        files.append(File(path: full, byteCount: byteCount, pages: pages))
        hash = CrashState.mix(hash, CrashState.hash(full))
        hash = CrashState.mix(hash, UInt64(byteCount))
        for (number, page) in pages.enumerated() where page.hash != 0 {
          hash = CrashState.mix(hash, page.hash &+ UInt64(number))
        }
      } else {
        directories.append(full)
        hash = CrashState.mix(hash, ~CrashState.hash(full))
        add(node, full, of: tree, content)
      }
    }
  }

  static func hash(_ bytes: [UInt8]) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return hash
  }

  /// Depends on the order.
  static func mix(_ hash: UInt64, _ value: UInt64) -> UInt64 {
    var generator = SplitMix64(seed: hash ^ value)
    return generator.next()
  }
}
