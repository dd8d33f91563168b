import StorageIO

/// What is wanted of a get besides the whole file or none of it.
public struct GetOptions: Hashable, Sendable {
  /// The bytes wanted; nil: all. What lies behind the end of the file is left out.
  public var byteRange: Range<Int>?
  /// Keeps what is intact of a damaged file, with holes where bytes are lost; the report tells of both.
  public var salvages = false
  /// Goes on with what an earlier get that resumes left beside the target, and leaves such a partial file itself when
  /// it is stopped. For whole files under a name.
  public var resumes = false

  public init() {}
}

/// Where the bytes of a get go.
public enum GetTarget: Sendable {
  /// A file that appears under its name only when it is whole and verified.
  case file(FilePath, replacing: Bool)
  /// A file `name` in an open directory, otherwise as `file`; for trees.
  case entry([UInt8], in: Directory, replacing: Bool)
  /// A pipe or terminal: bytes in order, each part verified before it is written.
  case stream(File)
  /// The caller, who is lent the bytes in order, piece by piece, each verified. It must not wait for an operation of the
  /// store.
  case receiver(@Sendable (RawSpan) throws(StoreError) -> Void)
}
