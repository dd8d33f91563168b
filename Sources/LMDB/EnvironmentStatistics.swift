/// What an environment takes up, at one moment.
public struct EnvironmentStatistics: Hashable, Sendable {
  /// The size of a page in bytes.
  public let pageByteCount: Int
  /// The size of the map in bytes: the most that `data.mdb` can grow to.
  public let mapByteCount: Int
  /// The highest page number ever used; the file never shrinks below it.
  public let lastPageNumber: Int
  /// The pages that later transactions can use again once no reader needs what they hold.
  public let freePageCount: Int
  /// The number of the last committed write transaction.
  public let lastTransactionNumber: Int
  /// The most reader slots that were ever taken at the same time, by all processes, since the first of them opened.
  public let highestReaderCount: Int
  /// How many reader slots there are, for all processes together.
  public let maximumReaderCount: Int

  /// The pages that hold something, the two meta pages among them.
  public var usedPageCount: Int { lastPageNumber + 1 - freePageCount }
}
