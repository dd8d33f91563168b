#if PFS_MUTANTS
  import Glibc
#endif

/// The seeded defects that the torture harness must see: each is one seam of the engine that does not do what it should.
///
/// They exist only in a build with `-Xswiftc -DPFS_MUTANTS`. In every other one ``isActive`` is the constant false, and nothing
/// of them is left. The names M1 to M20 are those of the list that the harness was designed by.
public enum Mutant: String, CaseIterable, Sendable {
  // MARK: Durability

  /// M1: segments are never synced.
  case noSegmentSync = "M1-no-segment-sync"
  /// M2: segments are synced after the commit of the index that names what is in them.
  case syncAfterCommit = "M2-sync-after-commit"
  /// M3: directories are never synced.
  case noDirectorySync = "M3-no-directory-sync"
  /// M4: LMDB does not sync its commits.
  case noIndexSync = "M4-no-index-sync"
  /// M5: a segment that is compacted is removed before the index names the copies.
  case removeBeforeMove = "M5-remove-before-move"
  /// M6: the pages of a file are punched before the index commit that deletes it.
  case punchBeforeDelete = "M6-punch-before-delete"
  /// M7: a put returns before its group is synced and committed.
  case acknowledgeBeforeCommit = "M7-acknowledge-before-commit"
  /// M9: what a dead writer left behind the end that the index knows is taken for used.
  case trustTail = "M9-trust-tail"
  /// M11: a sync that failed is tried again, and believed.
  case retryFailedSync = "M11-retry-failed-sync"
  /// M12: a sync that failed is taken for one that did not.
  case ignoreFailedSync = "M12-ignore-failed-sync"
  /// M13: a store is made in its final place, step by step.
  case makeStoreInPlace = "M13-make-store-in-place"
  /// The rename that makes a new store visible is not made durable.
  case noParentSyncAtInit = "no-parent-sync-at-init"
  /// The name of a new segment is not made durable before the index relies on it.
  case noSegmentNameSync = "no-segment-name-sync"
  /// The records of a group whose commit failed stay in the segment.
  case keepRecordsOfFailedCommit = "keep-records-of-failed-commit"

  // MARK: Ids, and what is gone

  /// M10: the part ids that a writer takes are given out again to the next one.
  case reusePartIDs = "M10-reuse-part-ids"
  /// M19: segments are compacted that a running put has records in, which the index does not name yet.
  case compactOwnedSegments = "M19-compact-owned-segments"
  /// The copies of records stay in the segment when no index names them, as one of their files was deleted meanwhile.
  case keepUnnamedCopies = "keep-unnamed-copies"
  /// A copy takes the place of its record whatever became of its file meanwhile.
  case nameDeletedCopies = "name-deleted-copies"
  /// M20: a delete buries nobody: its tombstone does not name the file.
  case noTombstone = "M20-no-tombstone"
  /// Ids are not remembered when what carries them is given back.
  case forgetHighWater = "forget-high-water"
  /// What a dead writer was storing is not rolled back.
  case keepUnfinishedFiles = "keep-unfinished-files"

  // MARK: Checks

  /// M8: a get compares neither the checksum of the stored bytes nor the MD5 of the bytes.
  case noDigestOnGet = "M8-no-digest-on-get"
  /// M15: an index file is given to LMDB without a look at its meta pages and its length.
  case noIndexFileCheck = "M15-no-index-file-check"
  /// M16: the checksum of a value of the index is not compared.
  case noValueChecksum = "M16-no-value-checksum"
  /// M17: the lengths that a record header gives are believed.
  case believeLengths = "M17-believe-lengths"
  /// The sums of the tables of the index are kept, and never compared.
  case noIndexSums = "no-index-sums"
  /// A verification compares neither checksums nor MD5s of parts.
  case noDigestOnVerify = "no-digest-on-verify"
  /// The footer of a segment is believed without its checksums.
  case noFooterChecksum = "no-footer-checksum"
  /// A get that is gone on with believes the label of the partial file, and hashes nothing.
  case believePartialFile = "believe-partial-file"
  /// A put that is gone on with does not compare the source with what was stored.
  case believeSource = "believe-source"

  // MARK: Space and memory

  /// M14: space is not reserved; the file only gets longer.
  case sparseInsteadOfReserved = "M14-sparse-instead-of-reserved"
  /// Quotas are not counted.
  case ignoreQuota = "ignore-quota"
  /// Memory is given out whether there is room or not.
  case ignoreMemoryLimit = "ignore-memory-limit"
  /// An operation waits for memory while it holds some.
  case holdMemoryAndWait = "hold-memory-and-wait"

  // MARK: Others at the same time

  /// M18: the reader slots of dead processes are not given back.
  case keepDeadReaders = "M18-keep-dead-readers"
  /// A delete does not wait for those who read the file.
  case deleteWithoutWaiting = "delete-without-waiting"
  /// The files of a group become visible one after another.
  case publishOneByOne = "publish-one-by-one"
  /// Writers that live are taken for dead.
  case takeLivingForDead = "take-living-for-dead"
  /// An index is made anew while others use the store.
  case rebuildWhileInUse = "rebuild-while-in-use"

  #if PFS_MUTANTS
    public static let areBuiltIn = true

    /// The environment is asked once.
    private static let active: Mutant? = {
      // Safe: the string that is found lives as long as the process, whose environment nobody changes.
      guard let name = unsafe getenv(variableName) else { return nil }
      return Mutant(rawValue: unsafe String(cString: name))
    }()

    public var isActive: Bool { Mutant.active == self }
  #else
    public static let areBuiltIn = false

    @inlinable public var isActive: Bool { false }
  #endif

  /// The variable of the environment that names the active mutant.
  public static let variableName = "PFS_MUTANT"
}
