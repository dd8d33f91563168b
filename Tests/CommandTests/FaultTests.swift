import Foundation
import TestSupport
import Testing

/// Each test makes a call of a command fail, every one of a kind in turn; `PFS_TEST_FAULTS=all` leaves none out.
@Suite("A system call that fails") struct FaultTests {
  private static let moving = ["read", "pread", "readv", "write", "pwrite", "writev"]

  @Test("for want of space is exit status 6, and the store is as it was", arguments: FaultScenario.all)
  func noSpace(scenario: FaultScenario) throws {
    let allocating = ["fallocate", "pwrite", "writev", "mkdir", "create", "rename", "link"]
    try sweep(scenario, statuses: [0, 6], .error("ENOSPC"), at: allocating, [.once, .sticky])
  }

  @Test("on a bad device is exit status 1, and the store is as it was", arguments: FaultScenario.all)
  func badDevice(scenario: FaultScenario) throws {
    let calls = [
      "open", "pread", "pwrite", "writev", "fdatasync", "fsync", "msync", "ftruncate", "punch", "unlink", "rename",
      "link",
      "close", "mmap", "populate_read", "populate_write",
    ]
    try sweep(scenario, statuses: [0, 1], .error("EIO"), at: calls, [.once, .sticky])
  }

  @Test("under a page of a mapping is an error and no signal", arguments: [FaultScenario.putLarge, .get])
  func populate(scenario: FaultScenario) throws {
    let calls = ["populate_read", "populate_write"]
    try sweep(scenario, statuses: [0, 1], .error("EFAULT"), at: calls, [.once, .sticky])
  }

  @Test("for want of descriptors is exit status 1, and the store is as it was", arguments: FaultScenario.all)
  func noDescriptor(scenario: FaultScenario) throws {
    try sweep(scenario, statuses: [0, 1], .error("EMFILE"), at: ["open", "create"], [.once, .sticky])
  }

  @Test("because of a signal is made again", arguments: FaultScenario.all)
  func interrupted(scenario: FaultScenario) throws {
    let calls = FaultTests.moving + ["open", "create", "fallocate", "punch", "ftruncate", "fsync"]
    // LMDB makes again what it writes, but neither an open nor its first read.
    try sweep(scenario, statuses: [0], .error("EINTR"), at: calls, [.alternate], exempt: "/index")
    try sweep(
      scenario, statuses: [0], .error("EINTR"), at: ["pwrite", "writev"], [.alternate], path: "/index")
  }

  @Test("after half of its bytes is gone on with, or fails as a whole", arguments: FaultScenario.all)
  func short(scenario: FaultScenario) throws {
    try sweep(scenario, statuses: [0], .short, at: FaultTests.moving, [.alternate], exempt: "/index")
    // LMDB takes a write that was cut short for one that failed, or for a full disk.
    try sweep(scenario, statuses: [0, 1, 6], .short, at: ["pwrite", "writev"], [.once, .alternate], path: "/index")
  }

  @Test(
    "because the process is killed costs nothing that was acknowledged, and the next open puts all right",
    arguments: FaultScenario.writing)
  func killed(scenario: FaultScenario) throws {
    try sweep(scenario, statuses: [], .kill, at: Fault.changes, [.once], sampled: 8)
    try sweep(scenario, statuses: [], .torn, at: ["pwrite", "writev", "write"], [.once])
  }

  private func sweep(
    _ scenario: FaultScenario, statuses: Set<Int>, _ action: Fault.Action, at calls: [String],
    _ repeats: [Fault.Repeat], path: String? = nil, exempt: String? = nil, sampled: Int = 3
  ) throws {
    try Sandbox.use { sandbox in
      let sweep = try FaultSweep(sandbox)
      for repeats in repeats {
        var fault = Fault(action, at: calls, path: path, repeats)
        fault.exemptPath = exempt
        try sweep.run(scenario, fault, statuses: statuses, sampled: sampled)
      }
      print("\(scenario.testDescription): \(action.text) met \(sweep.metCount) times")
    }
  }
}
