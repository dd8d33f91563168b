import CommandSupport
import SegmentStore

/// Names and ids of the store, for those who complete a word: at once, or none. Nothing is changed, waited for or said.
struct StoredCandidates {
  private static let limit = 200
  private static let pageFileCount = 64
  private static let lockTimeoutSeconds = 0.1
  /// Longer than all names.
  private static let nameByteLimit = 4095

  private let stores: StoreHandle

  /// - Parameter options: parsed with the global options in their table.
  init?(_ options: ParsedOptions) {
    do throws(CommandError) {
      var settings = try Settings(options)
      settings.store.lockTimeoutSeconds = StoredCandidates.lockTimeoutSeconds
      stores = StoreHandle(settings)
    } catch {
      return nil
    }
  }

  /// Files as `get` takes them: digits alone are ids, and what looks like an id or an option begins with `./`.
  func files(startingWith typed: [UInt8]) -> CompletionAnswer {
    let dotSlash = Array("./".utf8)
    let isNumber = !typed.isEmpty && typed.allSatisfy(StoredCandidates.isDigit)
    let head = typed.starts(with: dotSlash) ? dotSlash : []
    return lookingUp { (store) throws(StoreError) in
      let named = try names(Array(typed.dropFirst(head.count)), in: store).compactMap { candidate in
        let name = candidate.word
        let isMistaken =
          name.allSatisfy(StoredCandidates.isDigit) || name.first == UInt8(ascii: "-") || name.starts(with: dotSlash)
        if !isMistaken { return candidate.behind(head) }
        // Only what goes on with what was typed can be offered.
        return typed.isEmpty || !head.isEmpty ? candidate.behind(dotSlash) : nil
      }
      return (isNumber ? try ids(typed, in: store) : []) + named
    }
  }

  /// Names as they are.
  func names(startingWith typed: [UInt8]) -> CompletionAnswer {
    lookingUp { (store) throws(StoreError) in try names(typed, in: store) }
  }

  // MARK: Looking them up

  private func lookingUp(
    _ body: (Store) throws(StoreError) -> [CompletionAnswer.Candidate]
  ) -> CompletionAnswer {
    do throws(StoreError) {
      let candidates = try body(try stores.storeToLookAt())
      try stores.close()
      return CompletionAnswer(Array(candidates.prefix(StoredCandidates.limit)))
    } catch {
      // A store that cannot be looked at has nothing to offer; a command will say why.
      return .none
    }
  }

  /// The names that begin with `prefix`; of those that go on behind a slash what comes before it, once.
  private func names(_ prefix: [UInt8], in store: Store) throws(StoreError) -> [CompletionAnswer.Candidate] {
    var candidates: [CompletionAnswer.Candidate] = []
    // From a name on there is no adding up of the whole index, which takes time and is not needed for this.
    var start = try FileName([1])
    while candidates.count < StoredCandidates.limit {
      let page = try store.newestFiles(namePrefix: prefix, after: start, limit: StoredCandidates.pageFileCount)
      var tree: [UInt8]?
      for file in page {
        let name = file.name.bytes
        start = file.name
        if let slash = name.dropFirst(prefix.count).firstIndex(of: UInt8(ascii: "/")) {
          tree = Array(name[...slash])
          break
        }
        candidates.append(.init(name, "\(ByteSize.text(file.byteCount)), id \(file.id)"))
      }
      if let tree {
        candidates.append(.init(tree, isBeginning: true))
        // Behind all that is in it.
        start = try FileName(
          tree + [UInt8](repeating: 0xFF, count: max(0, StoredCandidates.nameByteLimit - tree.count)))
      } else if page.count < StoredCandidates.pageFileCount {
        break
      }
    }
    return candidates
  }

  /// The ids that begin with `digits`.
  private func ids(_ digits: [UInt8], in store: Store) throws(StoreError) -> [CompletionAnswer.Candidate] {
    guard digits.first != UInt8(ascii: "0"), var lower = UInt64(String(decoding: digits, as: UTF8.self)) else {
      return []
    }
    var candidates: [CompletionAnswer.Candidate] = []
    var count: UInt64 = 1
    while candidates.count < StoredCandidates.limit {
      let page = try store.files(from: FileID(rawValue: lower), limit: StoredCandidates.pageFileCount)
      if page.isEmpty { break }
      candidates += page.prefix { $0.id.rawValue - lower < count }.map { file in
        .init(Array(file.id.description.utf8), DisplayName.escaped(file.name.bytes))
      }
      let (next, hasOverflowed) = lower.multipliedReportingOverflow(by: 10)
      if hasOverflowed { break }
      (lower, count) = (next, count * 10)
    }
    return candidates
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
