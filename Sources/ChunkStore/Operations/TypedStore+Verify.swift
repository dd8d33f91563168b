import StorageIO

/// What a look at all objects has found.
public struct ObjectVerification: Hashable, Sendable {
  public var objectCount = 0
  /// Objects whose bytes are proven by their sums.
  public var sealedCount = 0
  /// Objects that are not what they should be, by key, with what is wrong.
  public var damages: [ChunkKey: String] = [:]
}

extension TypedStore {
  /// Opens every object, and holds the bytes of sealed ones against their sums, whether they were checked before or not.
  /// Of an object that is not sealed only the header can be checked.
  /// - Throws: `.indexDamaged`, `.busy`, and so on; damage of objects is no error, but a finding.
  /// - Complexity: O(objects + bytes of sealed ones)
  public func verify() throws(ChunkStoreError) -> ObjectVerification {
    var result = ObjectVerification()
    var last: ChunkKey?
    while true {
      let page = try keys(after: last)
      guard let end = page.last else { return result }
      for key in page {
        do throws(ChunkStoreError) {
          // One that was deleted meanwhile is no finding.
          guard let object = try open(key) else { continue }
          let isSealed = object.isSealed
          do throws(ChunkStoreError) { try object.verify() } catch  where error.code == .notFound { continue }
          result.objectCount += 1
          if isSealed { result.sealedCount += 1 }
        } catch  where error.code == .corrupt || error.code == .io {
          result.objectCount += 1
          result.damages[key] = error.message
        }
      }
      last = end
    }
  }
}
