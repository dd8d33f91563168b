import SegmentStore

extension Store {
  /// Demands that a verification finds nothing, and that nothing is left half done: nobody may use the store.
  public func checkInvariants() throws {
    var found: [String] = []
    let summary = try verify { event in
      switch event {
      case .finding(let finding): found.append("\(finding)")
      case .note(let note): found.append(note)
      case .progress, .reached: break
      }
    }
    var next: FileID? = FileID(rawValue: 0)
    while let start = next {
      let page = try files(from: start, limit: 512)
      found += page.filter { $0.status != .ready && !$0.isInterrupted }.map { "file \($0.id) is \($0.status)" }
      next = page.last.map { FileID(rawValue: $0.id.rawValue + 1) }
    }
    guard found.isEmpty, summary.findingCount == 0 else { throw TestFailure(found.joined(separator: "\n")) }
  }
}
