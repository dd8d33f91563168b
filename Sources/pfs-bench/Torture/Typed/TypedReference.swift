import ChunkStore
import StorageIO

/// The store of typed objects that is damaged: small, and with everything that such a store can hold. Beside it the same as
/// it was before its last changes, and another one to which the same was done.
struct TypedReference {
  private static let chunkByteCount = 64 << 10

  let path: FilePath

  /// Makes what ``ReferenceStores`` reads.
  static func make(in workspace: FilePath, seed: UInt64) throws(BenchFailure) {
    let (own, foreign) = (
      TypedReference(path: workspace.appending(ReferenceStores.referenceName)),
      TypedReference(path: workspace.appending(ReferenceStores.foreignName))
    )
    for reference in [own, foreign] {
      try BenchFailure.translating { () throws(ChunkStoreError) in
        try TypedStore.create(at: reference.path, chunkByteCount: chunkByteCount)
        let store = try TypedStore(at: reference.path)
        try reference.fill(store, from: Int(seed % 1000))
        try store.close()
      }
      if reference.path == own.path {
        try ReferenceImage(reading: own.path).write(to: workspace.appending(ReferenceStores.olderName))
      }
      try BenchFailure.translating { () throws(ChunkStoreError) in
        let store = try TypedStore(at: reference.path)
        try reference.change(store, from: Int(seed % 1000))
        try store.close()
      }
    }
  }

  /// Values, arrays and rings, sealed and not, sparse ones, deleted ones, and some that do not fit into a chunk.
  private func fill(_ store: TypedStore, from first: Int) throws(ChunkStoreError) {
    for number in 0..<12 {
      try store.put("value/\(number)", MeasuredObject(measured: first + number), durability: .staged)
    }
    try store.put(ChunkKey(bytes: [0, 255, 10]), MeasuredObject(measured: first), durability: .staged)
    for number in 0..<6 where number % 2 == 0 { try store.seal("value/\(number)") }
    try array("array/sealed", 1200, from: first, in: store)
    try array("array/open", 700, from: first, in: store)
    try array("array/deleted later", 900, from: first, in: store)
    let sparse = try store.newArray("array/sparse", of: Int64.self, count: 20_000)
    for index in [3, 9_000, 19_999] { try sparse.set(index, to: Int64(first + index)) }
    for (key, isSealed) in [("ring/open", false), ("ring/sealed", true)] as [(ChunkKey, Bool)] {
      let ring = try store.newRing(key, of: Int64.self, capacity: 50)
      for number in 0..<70 { try ring.append(Int64(first + number)) }
      if isSealed { try store.seal(key) }
    }
    for key in ["array/sealed", "array/sparse"] as [ChunkKey] { try store.seal(key) }
    try store.delete("value/7")
  }

  private func change(_ store: TypedStore, from first: Int) throws(ChunkStoreError) {
    try store.put("value/8", MeasuredObject(measured: first + 1000))
    try store.delete("array/deleted later")
    try array("array/last", 300, from: first, in: store)
    try store.seal("array/last")
    _ = try store.compact(liveShare: 0.9)
  }

  private func array(_ key: ChunkKey, _ count: Int, from first: Int, in store: TypedStore) throws(ChunkStoreError) {
    let array = try store.newArray(key, of: Int64.self, count: count, durability: .staged)
    try array.withMutableElements(in: array.indices) { elements in
      for index in 0..<elements.count { elements[index] = Int64(first + index) }
    }
    try store.flush()
  }
}
