import SegmentStore

/// What came of the calls on one damaged store.
struct DamageOutcome {
  /// From the least to the most.
  enum Class: String, CaseIterable {
    /// Everything reads as it should, and a verification finds nothing.
    case harmless
    /// As before, and a verification says something about a copy that is damaged while the other one counts.
    case noted
    /// Everything reads as it should, and a verification names the damage.
    case foundByVerify = "found by verify"
    /// A call that met the damage said so.
    case named
  }

  private(set) var violations: [(kind: Violation.Kind, message: String)] = []
  /// The files that could not be read, with a message.
  var unreadable: Set<FileID> = []
  /// What the calls said.
  private(set) var errors: [StoreError] = []
  var findings: [Finding] = []
  var notes: [String] = []
  /// Whether the index was found damaged: then it may still be open.
  private(set) var hasFailedIndex = false
  /// Files that a rebuild did not restore and could not know of.
  var forgotten: Set<FileID> = []

  var outcomeClass: Class {
    if !errors.isEmpty { return .named }
    if !findings.isEmpty { return .foundByVerify }
    return notes.isEmpty ? .harmless : .noted
  }

  mutating func violate(_ kind: Violation.Kind, _ message: String) { violations.append((kind, message)) }

  /// Runs a call that may fail only by naming the damage.
  /// - Parameter codes: What it may say.
  /// - Returns: Nil when it failed.
  mutating func attempt<R>(
    _ what: String, _ codes: Set<StoreError.Code>, _ body: (inout DamageOutcome) throws(StoreError) -> R
  ) -> R? {
    do throws(StoreError) { return try body(&self) } catch {
      if error.code == .indexDamaged { hasFailedIndex = true }
      if codes.contains(error.code) {
        errors.append(error)
      } else if error.code == .notFound {
        violate(.silent, "\(what): \(error), although it was acknowledged")
      } else {
        violate(.outcome, "\(what): \(error.code): \(error)")
      }
      return nil
    }
  }
}
