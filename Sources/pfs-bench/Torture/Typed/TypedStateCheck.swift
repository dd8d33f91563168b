import ChunkStore
import StorageIO

/// Opens a store as a loss of power left it, and holds it against what was acknowledged.
struct TypedStateCheck {
  let workload: TypedWorkload
  /// Operations that were acknowledged, and those that had begun: the same or one more.
  let doneCount: Int
  let begunCount: Int

  /// Whether an array that could not be filled may be there as it was made, all zeros: a store that is closed after an error
  /// makes durable what was staged.
  var allowsUnfilled = false

  init(workload: TypedWorkload, doneCount: Int, begunCount: Int) {
    self.workload = workload
    self.doneCount = doneCount
    self.begunCount = begunCount
  }

  private var before: TypedWorkload.Contents { workload.contents[doneCount] }
  private var after: TypedWorkload.Contents { workload.contents[begunCount] }

  /// What is wrong; nil for nothing.
  func violation(at path: FilePath, rebuilds: Bool) -> (kind: Violation.Kind, message: String)? {
    do throws(ChunkStoreError) {
      let store: TypedStore
      do throws(ChunkStoreError) { store = try TypedStore(at: path) } catch {
        if doneCount == 0 && (error.code == .noStore || error.code == .notAStore) { return nil }
        return (.unopenable, "\(error)")
      }
      if let finding = store.openFindings.first { return (.inconsistent, "found at open: \(finding)") }
      let (found, violation) = try contents(of: store)
      if let violation { return violation }
      if let violation = judge(found) { return violation }
      try store.put("new", MeasuredObject(measured: 1))
      guard try store.get("new", as: MeasuredObject.self)?.number == 1, try store.delete("new") else {
        return (.lost, "what was put just now is not there")
      }
      try store.close()
      return rebuilds ? try afterRebuild(path, found) : nil
    } catch {
      return (.outcome, "\(error)")
    }
  }

  /// A rebuild of what the open has made of it must give the same.
  private func afterRebuild(
    _ path: FilePath, _ expected: TypedWorkload.Contents
  ) throws(ChunkStoreError) -> (kind: Violation.Kind, message: String)? {
    let summary = try TypedStore.rebuild(at: path)
    if let finding = summary.findings.first { return (.inconsistent, "found by a rebuild: \(finding)") }
    let store = try TypedStore(at: path)
    let (found, violation) = try contents(of: store)
    if let violation { return (violation.kind, "after a rebuild: \(violation.message)") }
    guard found == expected else { return (.lost, "a rebuild made \(text(found)) of \(text(expected))") }
    try store.close()
    return nil
  }

  /// What each object holds; of an array in the middle of an update, the older.
  private func contents(
    of store: TypedStore
  ) throws(ChunkStoreError) -> (TypedWorkload.Contents, violation: (kind: Violation.Kind, message: String)?) {
    var found: TypedWorkload.Contents = [:]
    let verification = try store.verify()
    if let (key, damage) = verification.damages.first { return (found, (.inconsistent, "'\(key)': \(damage)")) }
    for key in try store.keys() {
      let name = key.description
      let isSealed = try store.object(key)?.isSealed ?? false
      guard TypedWorkload.isArray(name) else {
        guard let value = try store.get(key, as: MeasuredObject.self), value.x == Double(value.number), value.y == 0.5
        else { return (found, (.wrongBytes, "'\(name)' is half of a value")) }
        found[name] = TypedWorkload.Content(number: Int(value.number), isSealed: isSealed)
        continue
      }
      let array = try store.array(key, of: Int64.self)
      var numbers = Set<Int64>()
      try array.forEach { _, number in numbers.insert(number) }
      let isInUpdate = begunCount > doneCount && workload.operations[doneCount] == .update(name)
      let allowed = Set([before[name], after[name]].compactMap { $0.map { Int64($0.number) } })
      guard numbers.count == 1 || isInUpdate && numbers.isSubset(of: allowed) else {
        return (found, (.wrongBytes, "'\(name)' holds elements of \(numbers.sorted()), of \(allowed.sorted()) allowed"))
      }
      found[name] = TypedWorkload.Content(number: Int(numbers.min() ?? 0), isSealed: isSealed)
    }
    return (found, nil)
  }

  /// Each object is as before the operation that was going on, or as behind it.
  private func judge(_ found: TypedWorkload.Contents) -> (kind: Violation.Kind, message: String)? {
    for name in Set(found.keys).union(before.keys).union(after.keys).sorted() {
      if found[name] == before[name] || found[name] == after[name] { continue }
      let isUnfilled = begunCount > doneCount && workload.operations[doneCount] == .fill(name)
      if allowsUnfilled && isUnfilled && found[name]?.number == 0 { continue }
      let kind: Violation.Kind = found[name] == nil ? .lost : .wrongBytes
      return (kind, "'\(name)': \(text([name: found[name]])), not \(text(before)) or \(text(after))")
    }
    return nil
  }

  private func text(_ contents: [String: TypedWorkload.Content?]) -> String {
    let entries = contents.sorted { $0.key < $1.key }.map { key, content in
      "\(key)=\(content.map { "\($0.number)\($0.isSealed ? " sealed" : "")" } ?? "nothing")"
    }
    return "{\(entries.joined(separator: ", "))}"
  }
}
