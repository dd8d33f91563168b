import SegmentStore
import StorageIO

/// Why a case ended early: a promise was broken, or the harness itself cannot go on.
enum CaseFailure: Error, Sendable {
  case promise(Violation.Kind, String)
  case harness(BenchFailure)

  static func demand(
    _ holds: Bool, _ kind: Violation.Kind, _ message: @autoclosure () -> String
  ) throws(CaseFailure) {
    if !holds { throw .promise(kind, message()) }
  }

  /// Calls of the harness's own, which must succeed.
  static func harness<R, E: Error>(_ body: () throws(E) -> R) throws(CaseFailure) -> R {
    do throws(BenchFailure) { return try BenchFailure.translating(body) } catch { throw .harness(error) }
  }

  /// Calls of the store, whose failure breaks a promise of this kind.
  static func store<R>(
    _ kind: Violation.Kind, _ what: @autoclosure () -> String, _ body: () throws(StoreError) -> R
  ) throws(CaseFailure) -> R {
    do throws(StoreError) { return try body() } catch {
      throw .promise(kind, "\(what()): \(error.code): \(error.message)")
    }
  }
}
