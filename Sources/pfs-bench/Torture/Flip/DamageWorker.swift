import CommandSupport
import Console
import SegmentStore
import StorageIO

/// A process that tries some of the damages of a layer, one after another, on a copy of the reference store of its own.
///
/// It says on standard output what was wrong, and now and then that it goes on; a file beside its copy says at which
/// damage it is and what came of those before, so that its death costs nothing but itself.
struct DamageWorker {
  /// What it is started with.
  struct Assignment {
    let layer: DamageLayer.Kind
    let seed: UInt64
    let workspace: FilePath
    /// Its place among the workers that run at the same time.
    let place: Int
    let numbers: Range<Int>
    let seconds: Int
    /// One damage only, in place of those of the catalog, or those of one file; all when it is empty.
    let only: String

    var arguments: [[UInt8]] {
      let words =
        [
          layer.rawValue, "\(seed)", "\(place)", "\(numbers.lowerBound)", "\(numbers.upperBound)", "\(seconds)",
          only,
        ]
      return words.map { Array($0.utf8) } + [workspace.bytes]
    }

    init(
      _ layer: DamageLayer.Kind, seed: UInt64, _ workspace: FilePath, place: Int, _ numbers: Range<Int>, seconds: Int,
      only: String
    ) {
      self.layer = layer
      self.seed = seed
      self.workspace = workspace
      self.place = place
      self.numbers = numbers
      self.seconds = seconds
      self.only = only
    }

    init(_ arguments: [[UInt8]]) throws(BenchFailure) {
      let words = arguments.dropLast().map { String(decoding: $0, as: UTF8.self) }
      guard words.count == 7, let layer = DamageLayer.Kind(rawValue: words[0]), let seed = UInt64(words[1]),
        let place = Int(words[2]), let begin = Int(words[3]), let end = Int(words[4]), begin <= end,
        let seconds = Int(words[5]), let last = arguments.last
      else { throw BenchFailure(.usage, "\(DamageLayer.partName) is started by 'torture flip' and 'torture truncate'") }
      self.init(
        layer, seed: seed, FilePath(bytes: last), place: place, begin..<end, seconds: seconds,
        only: words[6])
    }

    var directory: FilePath { workspace.appending("worker-\(place)") }
    var tally: FilePath { directory.appending("tally") }

    /// Calls `body` with one number after another until the time is up, and says now and then that it goes on.
    func forEachNumber(_ body: (Int) throws(BenchFailure) -> Void) throws(BenchFailure) {
      let begin = MonotonicClock.seconds()
      var saidSeconds = 0.0
      for number in numbers {
        let elapsedSeconds = MonotonicClock.seconds() - begin
        if elapsedSeconds > Double(seconds) { return }
        if elapsedSeconds - saidSeconds > 1 {
          saidSeconds = elapsedSeconds
          try BenchCommand.print("at \(number)\n")
        }
        try body(number)
      }
    }

    /// Makes the directory of the worker anew, without what one that died has left, and the file of its tally.
    func makeDirectory() throws(BenchFailure) -> File {
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try ReferenceImage.remove(String(decoding: directory.lastComponent, as: UTF8.self), in: directory.parent)
        try Directory.make(directory)
        return try File.open(tally, [.write, .createNew])
      }
    }
  }

  private let assignment: Assignment
  private let catalog: DamageCatalog
  private let only: DamageCase?
  private let check: DamageCheck
  private let store: FilePath
  private let tallyFile: File
  private var tally = DamageTally()
  /// Between damages that only one file can notice.
  private var held: Store?

  /// Of the flips one in so many also meets a put and a delete, and one in so many a rebuild.
  private static let writeStride = 16
  private static let rebuildStride = 64
  /// One in so many flips goes the whole way even where most of it cannot be affected.
  private static let fullStride = 32

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    var worker = try DamageWorker(try Assignment(arguments))
    try worker.run()
  }

  private init(_ assignment: Assignment) throws(BenchFailure) {
    self.assignment = assignment
    let stores = try ReferenceStores(in: assignment.workspace)
    only = DamageCase(assignment.only)
    catalog = DamageCatalog(
      stores, layer: assignment.layer, seed: assignment.seed,
      file: assignment.only.isEmpty || only != nil ? nil : assignment.only)
    store = assignment.directory.appending("store")
    tallyFile = try assignment.makeDirectory()
    try stores.reference.write(to: store)
    check = try DamageCheck(store: store, workspace: assignment.workspace)
    try restore()
  }

  private mutating func run() throws(BenchFailure) {
    let assignment = assignment
    try assignment.forEachNumber { (number) throws(BenchFailure) in
      tally.current = number
      try save()
      try attempt(only ?? catalog[number], number)
      tally.doneCount += 1
    }
    try closeHeld()
    let left = try catalog.stores.reference.changes(in: store)
    guard left.isEmpty else { throw BenchFailure(.failed, "\(left.sorted()) were not put back as they were") }
    tally.isWhole = true
    try save()
  }

  private func save() throws(BenchFailure) {
    let bytes = tally.bytes
    try BenchFailure.translating { () throws(SystemCallFailure) in try tallyFile.write(bytes, at: 0) }
  }

  // MARK: One damage

  private mutating func attempt(_ damage: DamageCase, _ number: Int) throws(BenchFailure) {
    let isThorough = !damage.isFlip || only != nil
    if !isThorough, try attemptNarrowly(damage, number) { return }
    try closeHeld()
    let area = damage.file.split(separator: "/").first.map(String.init) ?? damage.file
    try damage.apply(to: store, catalog.stores)
    let dates = try ReferenceImage.dates(in: store)
    var outcome = DamageOutcome()
    let isInIndex = damage.file == ReferenceImage.index && !isThorough && number % DamageWorker.fullStride != 0
    check.read(expecting: check.files, isInIndex ? .index : .everything, &outcome)
    tally.add("\(area): \(outcome.outcomeClass.rawValue)")
    let hit = filesHit(by: damage)
    if area == "segments", let hit, !outcome.unreadable.isSubset(of: hit) {
      outcome.violate(
        .lost, "files \(outcome.unreadable.subtracting(hit).sorted()) cannot be read, and were not hit")
    }
    // Whoever only reads takes nothing away that a rebuild needs.
    let isChanged = try ReferenceImage.dates(in: store) != dates
    if isChanged { tally.add("changed by reading") }
    let isRebuilt = isThorough || isChanged || number % DamageWorker.rebuildStride == 0 || mustRestore(damage, outcome)
    if isRebuilt {
      tally.add("rebuilds")
      var rebuilt = DamageOutcome()
      check.rebuild(harmed: area == "segments" ? hit : [], canLeaveNoTrace: damage.canLeaveNoTrace, &rebuilt)
      if !rebuilt.forgotten.isEmpty { tally.add("rebuilds that could not know of a file that is gone") }
      // The index of before said so.
      if !rebuilt.forgotten.isEmpty && outcome.outcomeClass == .harmless {
        rebuilt.violate(
          .silent, "verify finds nothing, and files \(rebuilt.forgotten.sorted()) are gone after a rebuild")
      }
      if rebuilt.errors.isEmpty && rebuilt.violations.isEmpty { tally.add("repaired by a rebuild") }
      if outcome.outcomeClass == .harmless && area == "segments" && !rebuilt.errors.isEmpty {
        rebuilt.violate(.silent, "verify finds nothing, and after a rebuild: \(rebuilt.errors[0])")
      }
      try report(rebuilt, damage)
    }
    try report(outcome, damage)
    if isRebuilt || isThorough {
      try restore(renewsIndex: outcome.hasFailedIndex)
    } else {
      try damage.undoFlip(in: store, catalog.stores)
      if outcome.hasFailedIndex {
        try catalog.stores.reference.restore([ReferenceImage.index, ReferenceImage.indexLock], in: store)
      }
    }
    guard area != "segments", isThorough || number % DamageWorker.writeStride == 0 else { return }
    tally.add("writes")
    try damage.apply(to: store, catalog.stores)
    var written = DamageOutcome()
    check.write(&written)
    try report(written, damage)
    try restore(renewsIndex: written.hasFailedIndex)
  }

  /// A byte in a segment that is no structure belongs to one file or to none; only that one is read, in a store that stays
  /// open. One in so many goes the whole way all the same.
  private mutating func attemptNarrowly(_ damage: DamageCase, _ number: Int) throws(BenchFailure) -> Bool {
    guard case .flip(let offset, _) = damage.damage, damage.file.hasPrefix("segments/"),
      !catalog.isStructure(damage.file, offset), number % DamageWorker.fullStride != 0,
      let hit = filesHit(by: damage)
    else { return false }
    if held == nil { held = try open() }
    guard let opened = held else { return false }
    held = opened
    try damage.apply(to: store, catalog.stores)
    var outcome = DamageOutcome()
    check.read(only: hit, in: opened, &outcome)
    try damage.undoFlip(in: store, catalog.stores)
    tally.add("segments: \(outcome.outcomeClass.rawValue)")
    tally.add("looked at in one file only")
    try report(outcome, damage)
    return true
  }

  private func open() throws(BenchFailure) -> Store {
    try BenchFailure.translating { () throws(StoreError) in try Store(at: store, DamageCheck.configuration) }
  }

  private mutating func closeHeld() throws(BenchFailure) {
    guard let opened = held else { return }
    held = nil
    try BenchFailure.translating { () throws(StoreError) in try opened.close() }
  }

  private func filesHit(by damage: DamageCase) -> Set<FileID>? {
    catalog.filesHit(by: damage).map { Set($0.map { FileID(rawValue: $0) }) }
  }

  /// Whether a verification has found nothing where something is described: then a rebuild must restore all. The zeros of
  /// a segment header are like any others.
  private func mustRestore(_ damage: DamageCase, _ outcome: DamageOutcome) -> Bool {
    guard case .flip(let offset, _) = damage.damage, damage.file.hasPrefix("segments/") else { return false }
    return outcome.outcomeClass == .harmless && catalog.isStructure(damage.file, offset)
  }

  private func restore(renewsIndex: Bool = true) throws(BenchFailure) {
    var changed = try catalog.stores.reference.changes(in: store)
    if renewsIndex { changed.formUnion([ReferenceImage.index, ReferenceImage.indexLock]) }
    try catalog.stores.reference.restore(changed, in: store)
  }

  private mutating func report(_ outcome: DamageOutcome, _ damage: DamageCase) throws(BenchFailure) {
    for (kind, message) in outcome.violations {
      tally.add("violations of kind \(kind.rawValue)")
      let text = DisplayName.escaped(message)
      try BenchCommand.print("violation\t\(kind.rawValue)\t\(damage)\t\(text)\n")
    }
    if only != nil {
      for error in outcome.errors {
        try BenchCommand.print("said\t\(error.code): \(DisplayName.escaped(error.message))\n")
      }
      for finding in outcome.findings {
        try BenchCommand.print("said\tfinding \(finding.kind): \(DisplayName.escaped(finding.message))\n")
      }
      for note in outcome.notes { try BenchCommand.print("said\tnote: \(DisplayName.escaped(note))\n") }
    }
  }
}

/// What a worker has counted so far, in a file of one length.
struct DamageTally {
  /// The number of the damage that was begun last; -1 before the first.
  var current = -1
  var doneCount = 0
  /// Whether it came to its end.
  var isWhole = false
  private(set) var figures: [String: Int] = [:]

  private static let byteCount = 2048

  init() {}

  mutating func add(_ name: String) { figures[name, default: 0] += 1 }

  var bytes: [UInt8] {
    var text = "\(current)\n\(doneCount)\n\(isWhole ? 1 : 0)\n"
    for (name, count) in figures { text += "\(count) \(name)\n" }
    let bytes = Array(text.utf8.prefix(DamageTally.byteCount))
    return bytes + [UInt8](repeating: 10, count: DamageTally.byteCount - bytes.count)
  }

  /// Reads what ``bytes`` gave.
  init(_ bytes: [UInt8]) {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    guard lines.count >= 3 else { return }
    current = Int(lines[0]) ?? -1
    doneCount = Int(lines[1]) ?? 0
    isWhole = lines[2] == "1"
    for line in lines.dropFirst(3) {
      let words = line.split(separator: " ", maxSplits: 1)
      if words.count == 2, let count = Int(words[0]) { figures[String(words[1])] = count }
    }
  }
}
