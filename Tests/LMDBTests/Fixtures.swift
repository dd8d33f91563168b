import LMDB
import TestSupport

/// Opens the environment in `directory`, with limits that suit a test.
func openEnvironment(
  in directory: TemporaryDirectory, mapByteCount: Int = 64 << 20, maximumTableCount: Int = 4,
  maximumReaderCount: Int = 16, creates: Bool = true
) throws(LMDBError) -> Environment {
  try openEnvironment(
    at: directory.path, mapByteCount: mapByteCount, maximumTableCount: maximumTableCount,
    maximumReaderCount: maximumReaderCount, creates: creates)
}

/// Opens the environment in the directory at `path`, with limits that suit a test.
func openEnvironment(
  at path: String, mapByteCount: Int = 64 << 20, maximumTableCount: Int = 4, maximumReaderCount: Int = 16,
  creates: Bool = true
) throws(LMDBError) -> Environment {
  try Environment(
    directory: Array(path.utf8), mapByteCount: mapByteCount, maximumTableCount: maximumTableCount,
    maximumReaderCount: maximumReaderCount, creates: creates, fileMode: 0o600)
}

/// Opens, and makes where needed, the one table that most tests use.
func openTable(in environment: Environment) throws(LMDBError) -> Table {
  try environment.openTables(["entries"], creates: true)[0]
}

/// Commits what `body` writes.
func write(
  to environment: Environment, _ body: (borrowing WriteTransaction) throws(LMDBError) -> Void
) throws(LMDBError) {
  let transaction = try environment.beginWrite()
  try body(transaction)
  try transaction.commit()
}

/// What a new read transaction finds at `key`.
func committedValue(_ environment: Environment, _ table: Table, _ key: [UInt8]) throws(LMDBError) -> [UInt8]? {
  let transaction = try environment.beginRead()
  return try transaction.value(table, key)
}

/// The error that `body` throws, or nil.
func failure(of body: () throws(LMDBError) -> Void) -> LMDBError? {
  do {
    try body()
    return nil
  } catch {
    return error
  }
}

/// A key whose byte order is the order of the numbers.
func key(_ number: Int) -> [UInt8] {
  (0..<8).reversed().map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
}

/// The generator of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
