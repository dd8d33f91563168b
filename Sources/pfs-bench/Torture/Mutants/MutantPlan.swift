import Mutants

/// A layer with a budget, or with one of its cases, as a mutant is met with.
struct MutantTrial: Hashable, Sendable {
  let layer: String
  let options: [String]

  init(_ layer: String, _ caseCount: Int) {
    self.layer = layer
    options = ["--budget", "\(caseCount)"]
  }

  init(_ layer: String, replay: String) {
    self.layer = layer
    options = ["--replay", replay]
  }

  var isReplay: Bool { options.first == "--replay" }
}

/// The layers named for each mutant: what is tried, one after another, until one of them sees it.
extension Mutant {
  var trials: [MutantTrial] {
    switch self {
    // Those that need no loss of power are seen where processes are killed, too.
    case .punchBeforeDelete, .trustTail:
      [MutantTrial("explore", 2000), MutantTrial("kill", 400), MutantTrial("explore", 6000)]
    case .removeBeforeMove:
      [MutantTrial("explore", 2000), MutantTrial("kill", 400), MutantTrial("explore", 6000)]
    case .noSegmentSync, .syncAfterCommit, .noDirectorySync, .noIndexSync, .makeStoreInPlace, .noParentSyncAtInit,
      .noSegmentNameSync:
      [MutantTrial("explore", 2000), MutantTrial("explore", 6000)]
    case .keepUnfinishedFiles: [MutantTrial("explore", 2000), MutantTrial("kill", 200)]
    case .noTombstone: [MutantTrial("explore", 2000), MutantTrial("kill", 400)]
    case .retryFailedSync, .ignoreFailedSync, .keepRecordsOfFailedCommit:
      [MutantTrial("io-error", 400), MutantTrial("io-error", 3000)]
    case .noDigestOnGet, .noValueChecksum, .believeLengths, .noDigestOnVerify, .noFooterChecksum:
      [MutantTrial("flip", 600), MutantTrial("flip", 6000)]
    // The layer has whole pages, too: zeroed, swapped, stale, foreign.
    case .noIndexSums: [MutantTrial("truncate", 1000), MutantTrial("truncate", 6000)]
    // One bit in four million has LMDB divide by a page size of zero: all of them are tried for a release.
    case .noIndexFileCheck:
      [MutantTrial("truncate", 1000), MutantTrial("flip", replay: "flip:index/data.mdb:41:4")]
    case .sparseInsteadOfReserved: [MutantTrial("full-disk", 12), MutantTrial("full-disk", 60)]
    case .ignoreMemoryLimit, .holdMemoryAndWait: [MutantTrial("memory", 60), MutantTrial("memory", 300)]
    case .acknowledgeBeforeCommit, .reusePartIDs, .forgetHighWater, .believePartialFile,
      .believeSource, .ignoreQuota, .keepDeadReaders, .deleteWithoutWaiting, .publishOneByOne, .takeLivingForDead,
      .rebuildWhileInUse, .compactOwnedSegments, .keepUnnamedCopies, .nameDeletedCopies:
      [MutantTrial("concurrent", 100), MutantTrial("concurrent", 600)]
    }
  }
}
