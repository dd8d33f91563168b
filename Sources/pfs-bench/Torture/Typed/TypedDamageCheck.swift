import ChunkStore
import StorageIO

/// What came of the calls on one damaged store of typed objects.
struct TypedDamageOutcome {
  enum Class: String {
    /// Everything reads as it should.
    case harmless
    /// Other bytes come back of an object that is not sealed, and its own bytes were hit: nobody can tell.
    case notSealed = "not sealed, so nobody can tell"
    /// A call that met the damage said so.
    case named
  }

  private(set) var violations: [(kind: Violation.Kind, message: String)] = []
  /// What the calls said.
  var errors: [String] = []
  var hasChangedUnsealed = false
  /// Objects that could not be read, with an error.
  var unreadable: Set<ChunkKey> = []

  var outcomeClass: Class { errors.isEmpty ? hasChangedUnsealed ? .notSealed : .harmless : .named }

  mutating func violate(_ kind: Violation.Kind, _ message: String) { violations.append((kind, message)) }

  /// Runs a call that may fail only by naming the damage.
  /// - Returns: Nil when it failed.
  mutating func attempt<R>(_ what: String, _ body: () throws(ChunkStoreError) -> R) -> R? {
    do throws(ChunkStoreError) { return try body() } catch {
      if TypedDamageCheck.refusals.contains(error.code) {
        errors.append("\(what): \(error)")
      } else if error.code == .notFound {
        violate(.silent, "\(what): \(error), although it was acknowledged")
      } else {
        violate(.outcome, "\(what): \(error)")
      }
      return nil
    }
  }
}

/// Does with a damaged store of typed objects what a program does, and compares all that comes of it with what was stored.
struct TypedDamageCheck {
  static let refusals: Set<ChunkStoreError.Code> = [.indexDamaged, .corrupt, .notAStore, .newerFormat, .io]

  /// An object as it was stored.
  struct Stored {
    let summary: ObjectSummary
    let elements: [Int64]
    let file: String
    let range: Range<Int>
  }

  let store: FilePath
  private(set) var objects: [Stored] = []

  /// Learns what the store in `store`, which is whole, holds.
  init(store: FilePath) throws(BenchFailure) {
    self.store = store
    objects = try BenchFailure.translating { () throws(ChunkStoreError) in
      let opened = try TypedStore(at: store, TypedDamageCheck.configuration(isReadOnly: true))
      var objects: [Stored] = []
      for key in try opened.keys() {
        guard let summary = try opened.object(key) else { continue }
        let digits = "\(summary.chunk)"
        let name = String(repeating: "0", count: 16 - digits.count) + digits
        objects.append(
          Stored(
            summary: summary, elements: try TypedDamageCheck.elements(of: summary, in: opened) ?? [],
            file: "chunks/\(name).chunk", range: summary.offset..<(summary.offset + summary.byteCount)))
      }
      try opened.close()
      return objects
    }
    guard objects.count == 18, objects.contains(where: \.summary.isSealed) else {
      throw BenchFailure(.failed, "the reference store has \(objects.count) objects")
    }
  }

  private static func configuration(isReadOnly: Bool) -> TypedStore.Configuration {
    var configuration = TypedStore.Configuration()
    configuration.isReadOnly = isReadOnly
    configuration.lockTimeoutSeconds = 1
    return configuration
  }

  /// Opens the store for reading, and reads everything.
  func read(_ damage: DamageCase, byteCount: Int, _ outcome: inout TypedDamageOutcome) {
    let opened = outcome.attempt("open") { () throws(ChunkStoreError) in
      try TypedStore(at: store, TypedDamageCheck.configuration(isReadOnly: true))
    }
    guard let opened else { return }
    let keys = outcome.attempt("list") { () throws(ChunkStoreError) in try opened.keys() }
    if let keys, keys != objects.map(\.summary.key) { outcome.violate(.silent, "the list has \(keys)") }
    for object in objects { read(object, in: opened, damage, byteCount: byteCount, &outcome) }
    let verification = outcome.attempt("verify") { () throws(ChunkStoreError) in try opened.verify() }
    if let verification {
      for key in outcome.unreadable.sorted() where verification.damages[key] == nil {
        outcome.violate(.silent, "verify says nothing of '\(key)', which cannot be read")
      }
      outcome.errors += verification.damages.map { "verify: '\($0.key)': \($0.value)" }
    }
    _ = outcome.attempt("close") { () throws(ChunkStoreError) in try opened.close() }
  }

  /// Opens the store for writing, which may put something right and must take nothing away, and makes and removes an object.
  func write(_ damage: DamageCase, byteCount: Int, _ outcome: inout TypedDamageOutcome) {
    let opened = outcome.attempt("open for writing") { () throws(ChunkStoreError) in
      try TypedStore(at: store, TypedDamageCheck.configuration(isReadOnly: false))
    }
    guard let opened else { return }
    for finding in opened.openFindings { outcome.errors.append("open: \(finding)") }
    let isThere = outcome.attempt("put") { () throws(ChunkStoreError) in
      try opened.put("new", MeasuredObject(measured: 1))
      let found = try opened.get("new", as: MeasuredObject.self)
      let isDeleted = try opened.delete("new")
      return found?.number == 1 && isDeleted
    }
    if isThere == false { outcome.violate(.lost, "what was put just now is not there") }
    for object in objects { read(object, in: opened, damage, byteCount: byteCount, &outcome) }
    _ = outcome.attempt("close") { () throws(ChunkStoreError) in try opened.close() }
  }

  /// Makes the index anew: what is not there again must be among the findings, and nothing else may be there.
  func rebuild(_ damage: DamageCase, byteCount: Int, _ outcome: inout TypedDamageOutcome) {
    let summary = outcome.attempt("rebuild") { () throws(ChunkStoreError) in try TypedStore.rebuild(at: store) }
    guard let summary else { return }
    outcome.errors += summary.findings.map { "rebuild: \($0)" }
    let opened = outcome.attempt("open after a rebuild") { () throws(ChunkStoreError) in
      try TypedStore(at: store, TypedDamageCheck.configuration(isReadOnly: false))
    }
    guard let opened else { return }
    let keys = outcome.attempt("list after a rebuild") { () throws(ChunkStoreError) in try opened.keys() } ?? []
    let known = Set(objects.map(\.summary.key))
    if let strange = keys.first(where: { !known.contains($0) }), !isLostWrite(damage) {
      outcome.violate(.lost, "'\(strange)' is there after a rebuild, and was deleted")
    }
    let found = Set(keys)
    for object in objects {
      if found.contains(object.summary.key) {
        read(object, in: opened, damage, byteCount: byteCount, &outcome)
      } else if summary.findings.isEmpty && !damage.canLeaveNoTrace {
        outcome.violate(.silent, "a rebuild finds nothing, and '\(object.summary.key)' is gone")
      } else if damage.file != object.file, !isWholeFile(damage) {
        outcome.violate(.lost, "'\(object.summary.key)' is gone after a rebuild, and was not hit")
      }
    }
    _ = outcome.attempt("close") { () throws(ChunkStoreError) in try opened.close() }
  }

  /// Whether a page is as it was before: the mark of a deletion may be gone with it, and chunks alone cannot tell.
  private func isLostWrite(_ damage: DamageCase) -> Bool {
    switch damage.damage {
    case .olderPage, .olderPages, .olderButForMeta: true
    default: false
    }
  }

  private func isWholeFile(_ damage: DamageCase) -> Bool {
    switch damage.damage {
    case .exchanged, .duplicated, .foreign: true
    default: false
    }
  }

  private func read(
    _ object: Stored, in store: TypedStore, _ damage: DamageCase, byteCount: Int, _ outcome: inout TypedDamageOutcome
  ) {
    let key = object.summary.key
    let errorCount = outcome.errors.count
    let found = outcome.attempt("'\(key)'") { () throws(ChunkStoreError) in
      try TypedDamageCheck.elements(of: object.summary, in: store)
    }
    guard let found else {
      if outcome.errors.count > errorCount { outcome.unreadable.insert(key) }
      return
    }
    guard let found else { return outcome.violate(.silent, "'\(key)' is said not to be there") }
    if found == object.elements { return }
    let isHit = damage.file == object.file && damage.changedRange(of: byteCount).overlaps(object.range)
    if isHit && !object.summary.isSealed {
      outcome.hasChangedUnsealed = true
    } else {
      outcome.violate(.silent, "'\(key)' reads as something else, and nothing is said")
    }
  }

  /// All elements of an object, as its type has them; nil for a value that is not there.
  private static func elements(of object: ObjectSummary, in store: TypedStore) throws(ChunkStoreError) -> [Int64]? {
    var elements: [Int64] = []
    switch object.kind {
    case .value:
      guard let value = try store.get(object.key, as: MeasuredObject.self) else { return nil }
      elements = [
        value.number, Int64(bitPattern: value.x.bitPattern), Int64(bitPattern: value.y.bitPattern), Int64(value.flags),
      ]
    case .array: try store.array(object.key, of: Int64.self).forEach { _, element in elements.append(element) }
    case .ring: try store.ring(object.key, of: Int64.self).forEach { element in elements.append(element) }
    }
    return elements
  }
}
