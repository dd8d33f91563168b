import CommandSupport
import Console
import StorageIO

/// The layers `typed-flip` and `typed-truncate`: what `flip` and `truncate` do, to a store of typed objects.
enum TypedDamageLayer {
  static let partName = "typed-flip-worker"

  private static let target = DamageTarget(partName: partName) { (workspace, seed) throws(BenchFailure) in
    try TypedReference.make(in: workspace, seed: seed)
  }

  static let flip = TortureLayer(
    "typed-flip", "one bit of every byte of every file of a store of typed objects", in: "/dev/shm",
    runsPFS: false
  ) { (run) throws(BenchFailure) in try DamageSupervisor(run, .flip, of: target).tryAll() }

  static let truncate = TortureLayer(
    "typed-truncate", "files of such a store cut, pages zeroed, misplaced or foreign, files missing or exchanged",
    in: "/dev/shm",
    runsPFS: false
  ) { (run) throws(BenchFailure) in try DamageSupervisor(run, .truncate, of: target).tryAll() }
}

/// A process that tries some of the damages, one after another, on a copy of the reference store of its own; it says and
/// notes what a ``DamageWorker`` does.
struct TypedDamageWorker {
  private let assignment: DamageWorker.Assignment
  private let catalog: DamageCatalog
  private let only: DamageCase?
  private let store: FilePath
  private let check: TypedDamageCheck
  private let tallyFile: File
  private var tally = DamageTally()

  /// Of damages to the index one in so many also meets a rebuild, and one in so many a put and a delete.
  private static let rebuildStride = 32
  private static let writeStride = 8

  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    var worker = try TypedDamageWorker(try DamageWorker.Assignment(arguments))
    try worker.run()
  }

  private init(_ assignment: DamageWorker.Assignment) throws(BenchFailure) {
    self.assignment = assignment
    let stores = try ReferenceStores(in: assignment.workspace)
    only = DamageCase(assignment.only)
    catalog = DamageCatalog(
      stores, layer: assignment.layer, seed: assignment.seed,
      file: assignment.only.isEmpty || only != nil ? nil : assignment.only)
    store = assignment.directory.appending("store")
    tallyFile = try assignment.makeDirectory()
    try stores.reference.write(to: store)
    check = try TypedDamageCheck(store: store)
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
    tally.isWhole = true
    try save()
  }

  private func save() throws(BenchFailure) {
    let bytes = tally.bytes
    try BenchFailure.translating { () throws(SystemCallFailure) in try tallyFile.write(bytes, at: 0) }
  }

  private mutating func attempt(_ damage: DamageCase, _ number: Int) throws(BenchFailure) {
    let byteCount = catalog.stores.reference[damage.file].count
    let area = String(damage.file.prefix { $0 != "/" })
    try damage.apply(to: store, catalog.stores)
    var outcome = TypedDamageOutcome()
    check.read(damage, byteCount: byteCount, &outcome)
    tally.add("\(area): \(outcome.outcomeClass.rawValue)")
    try report(outcome, damage)
    let isThorough = only != nil || area == "chunks" && number.isMultiple(of: 2)
    if isThorough || number.isMultiple(of: TypedDamageWorker.writeStride) {
      tally.add("writes")
      var written = TypedDamageOutcome()
      check.write(damage, byteCount: byteCount, &written)
      try report(written, damage)
      try restore()
      try damage.apply(to: store, catalog.stores)
    }
    if isThorough || area == "chunks" || number.isMultiple(of: TypedDamageWorker.rebuildStride) {
      tally.add("rebuilds")
      var rebuilt = TypedDamageOutcome()
      check.rebuild(damage, byteCount: byteCount, &rebuilt)
      if outcome.outcomeClass == .named && rebuilt.outcomeClass == .harmless && rebuilt.violations.isEmpty {
        tally.add("repaired by a rebuild")
      }
      try report(rebuilt, damage)
    }
    try restore()
  }

  private func restore() throws(BenchFailure) {
    let changed = try catalog.stores.reference.changes(in: store)
    try catalog.stores.reference.restore(changed.union([ReferenceImage.indexLock]), in: store)
  }

  private mutating func report(_ outcome: TypedDamageOutcome, _ damage: DamageCase) throws(BenchFailure) {
    for (kind, message) in outcome.violations {
      tally.add("violations of kind \(kind.rawValue)")
      try BenchCommand.print("violation\t\(kind.rawValue)\t\(damage)\t\(DisplayName.escaped(message))\n")
    }
    guard only != nil else { return }
    for error in outcome.errors { try BenchCommand.print("said\t\(DisplayName.escaped(error))\n") }
  }
}
