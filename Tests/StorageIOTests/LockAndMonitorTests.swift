import Foundation
import StorageIO
import TestSupport
import Testing

@Suite("Byte locks") struct ByteLockTests {
  let directory: TemporaryDirectory
  private let path: FilePath

  init() throws {
    directory = try TemporaryDirectory()
    path = FilePath(directory.path(of: "locks"))
    _ = try StorageIO.File.open(path, [.write, .createNew])
  }

  private func acquire(_ byte: Int64, _ mode: ByteLock.Mode) throws -> ByteLock? {
    try ByteLock.acquire(path, byte: byte, mode, timeoutSeconds: 0)
  }

  @Test("shared ones go together, an exclusive one goes alone, also inside one process", arguments: [0, 7, 1 << 62])
  func modes(byte: Int64) throws {
    var first = try acquire(byte, .shared)
    var second = try acquire(byte, .shared)
    #expect(first != nil && second != nil)
    #expect(try acquire(byte, .exclusive) == nil)
    first = nil
    #expect(try acquire(byte, .exclusive) == nil)
    second = nil
    let alone = try acquire(byte, .exclusive)
    #expect(alone != nil)
    #expect(try acquire(byte, .shared) == nil)
    // Another byte is another lock.
    #expect(try acquire(byte + 1, .exclusive) != nil)
    withExtendedLifetime(alone) {}
  }

  @Test("who holds one is seen by all, and asking takes nothing")
  func isHeld() throws {
    #expect(try !ByteLock.isHeld(path, byte: 5))
    let lock = try acquire(5, .shared)
    for _ in 0..<3 { #expect(try ByteLock.isHeld(path, byte: 5)) }
    #expect(try acquire(5, .shared) != nil)
    withExtendedLifetime(lock) {}
  }

  @Test("a lock that comes free is given to one who waits; each of many has it alone")
  func waiting() throws {
    let inside = Monitor(0)
    let path = path
    try Watchdog.run(threads: 6) { _ in
      for _ in 0..<10 {
        let lock = try ByteLock.acquire(path, byte: 1, .exclusive, timeoutSeconds: 100)
        #expect(lock != nil)
        let isAlone = inside.withLock { count in
          count += 1
          return count == 1
        }
        #expect(isAlone)
        inside.withLock { $0 -= 1 }
        withExtendedLifetime(lock) {}
      }
    }
  }

  @Test("a wait ends when it is cancelled")
  func cancelled() throws {
    let lock = try acquire(1, .exclusive)
    let path = path
    let isCancelled = Monitor(false)
    let waiting = BackgroundWork {
      try ByteLock.acquire(path, byte: 1, .exclusive, timeoutSeconds: 1000) { isCancelled.withLock { $0 } } == nil
    }
    isCancelled.withLock { $0 = true }
    #expect(try waiting.result())
    withExtendedLifetime(lock) {}
  }

  @Test("a process that dies lets go of its locks")
  func killed() async throws {
    let (held, go) = (directory.path(of: "held"), directory.path(of: "go"))
    for pipe in [held, go] { try FilesOnDisk.makePipe(pipe) }
    let path = path
    let observer = BackgroundWork {
      _ = try FileHandle(forReadingAtPath: held)?.read(upToCount: 1)
      #expect(try ByteLock.isHeld(path, byte: 9))
      #expect(try ByteLock.acquire(path, byte: 9, .shared, timeoutSeconds: 0) == nil)
      try FileHandle(forWritingAtPath: go)?.write(contentsOf: Data([1]))
    }
    await #expect(processExitsWith: .signal(SIGKILL)) {
      [path = path.description as String, held = held as String, go = go as String] in
      let lock = try ByteLock.acquire(FilePath(path), byte: 9, .exclusive, timeoutSeconds: 0)
      #expect(lock != nil)
      try FileHandle(forWritingAtPath: held)?.write(contentsOf: Data([1]))
      _ = try FileHandle(forReadingAtPath: go)?.read(upToCount: 1)
      kill(getpid(), SIGKILL)
      withExtendedLifetime(lock) {}
    }
    try observer.result()
    #expect(try !ByteLock.isHeld(path, byte: 9))
    #expect(try acquire(9, .exclusive) != nil)
  }
}

@Suite("Monitors") struct MonitorTests {
  @Test("a wait ends with the change it waits for")
  func waits() throws {
    let monitor = Monitor(0)
    let waiting = BackgroundWork { monitor.wait { $0 >= 3 ? $0 : nil } }
    for _ in 0..<3 { monitor.withLock { $0 += 1 } }
    #expect(try waiting.result() == 3)
  }

  @Test("a wait may change the state, once for each who waits")
  func takes() throws {
    let monitor = Monitor((given: 0, taken: 0))
    let takers = BackgroundWork {
      try Watchdog.run(threads: 8) { _ in
        for _ in 0..<100 {
          monitor.wait { state -> Void? in
            guard state.given > state.taken else { return nil }
            state.taken += 1
            return ()
          }
        }
      }
    }
    for _ in 0..<800 { monitor.withLock { $0.given += 1 } }
    try takers.result()
    #expect(monitor.withLock { $0.taken } == 800)
  }

  @Test("a wait gives up when its time is over, and not when its change has come", arguments: [-1, 0, 0.001])
  func timeouts(seconds: Double) {
    let monitor = Monitor(0)
    #expect(monitor.wait(seconds: seconds) { $0 > 0 ? $0 : nil } == nil)
    monitor.withLock { $0 = 5 }
    #expect(monitor.wait(seconds: seconds) { $0 > 0 ? $0 : nil } == 5)
  }

  @Test("the lock is released when the body throws")
  func throwing() {
    struct Mine: Error {}
    let monitor = Monitor(0)
    #expect(throws: Mine.self) { try monitor.withLock { (_) throws(Mine) in throw Mine() } }
    #expect(monitor.withLock { $0 } == 0)
  }

  @Test("the monotonic clock does not go back")
  func clock() {
    let times = (0..<1000).map { _ in Clock.monotonicNanoseconds() }
    #expect(times == times.sorted())
  }
}

@Suite("System threads") struct SystemThreadTests {
  @Test("each runs its body once, and join waits for its end")
  func join() throws {
    let count = Monitor(0)
    let threads = try (0..<20).map { _ in try SystemThread { count.withLock { $0 += 1 } } }
    for thread in threads { thread.join() }
    #expect(count.withLock { $0 } == 20)
    #expect(SystemThread.processorCount >= 1)
  }
}
