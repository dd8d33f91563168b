import Glibc

/// Calls of the C library that its Swift module leaves out, because they are no part of POSIX.
enum GNUCalls {
  private typealias Pipe2 = @convention(c) (UnsafeMutablePointer<Int32>, Int32) -> Int32
  private typealias MemoryFile = @convention(c) (UnsafePointer<CChar>, UInt32) -> Int32
  private typealias AddDirectory =
    @convention(c) (
      UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>
    ) -> Int32

  /// Makes a pipe whose ends no other child inherits, not even one that is started at this moment.
  static func pipe() throws -> (reader: Int32, writer: Int32) {
    var ends: [Int32] = [-1, -1]
    let result = unsafeBitCast(try address(of: "pipe2"), to: Pipe2.self)(&ends, O_CLOEXEC)
    guard result == 0 else { throw TestFailure("pipe2: \(String(cString: strerror(errno)))") }
    return (ends[0], ends[1])
  }

  /// Makes a file without a name: unlike a pipe it takes any amount while nobody reads.
  static func memoryFile() throws -> Int32 {
    let closeOnExec: UInt32 = 1
    let call = unsafeBitCast(try address(of: "memfd_create"), to: MemoryFile.self)
    let descriptor = call("pfs-test", closeOnExec)
    guard descriptor >= 0 else { throw TestFailure("memfd_create: \(String(cString: strerror(errno)))") }
    return descriptor
  }

  /// Has the child change its directory before it runs its program.
  static func addDirectory(_ path: BytePath, to actions: inout posix_spawn_file_actions_t) throws {
    let call = unsafeBitCast(try address(of: "posix_spawn_file_actions_addchdir_np"), to: AddDirectory.self)
    guard path.withCString({ call(&actions, $0) }) == 0 else { throw path.failure("addchdir") }
  }

  private static func address(of name: String) throws -> UnsafeMutableRawPointer {
    guard let address = dlsym(nil, name) else { throw TestFailure("the C library has no \(name)") }
    return address
  }
}
