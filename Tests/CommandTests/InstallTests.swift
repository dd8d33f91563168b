import Foundation
import Glibc
import TestSupport
import Testing

/// `make install`, `make uninstall` and `make deb`, of the programs under test.
@Suite("Installation") struct InstallTests {
  @Test("puts everything in place, works from there, and goes away again", arguments: ["/usr", "/opt/a prefix"])
  func installed(prefix: String) throws {
    try Sandbox.use { sandbox in
      let destination = sandbox.work / "root"
      let root = BytePath("\(destination)\(prefix)")
      expectDone(try make(sandbox, "install", "DESTDIR=\(destination)", "PREFIX=\(prefix)"))
      let files = try InstallTests.files(in: destination)
      for path in [
        "bin/pfs", "bin/pfs-bench", "lib/pfs/libFaultInjection.so", "share/man/man1/pfs.1",
        "share/man/man1/pfs-bench.1", "share/man/man5/pfs-format.5", "share/bash-completion/completions/pfs",
        "share/zsh/site-functions/_pfs", "share/fish/vendor_completions.d/pfs.fish", "share/doc/pfs/README.md",
        "share/doc/pfs/docs/FORMAT.md",
      ] {
        #expect(files.contains("\(root)/\(path)"), "\(path)")
      }
      try expectToWork(root, sandbox)

      // What others have there stays.
      let others = root / "share" / "man" / "man1" / "other.1"
      try others.write("a page of somebody else")
      expectDone(try make(sandbox, "uninstall", "DESTDIR=\(destination)", "PREFIX=\(prefix)"))
      #expect(try InstallTests.files(in: destination) == [others.text])
      #expect(try !(root / "share" / "doc" / "pfs").exists())
      #expect(try !(root / "lib" / "pfs").exists())
    }
  }

  private static let packageTools = SystemProgram("dpkg-shlibdeps")
  private static let lintian = SystemProgram("lintian")
  /// One that needs the libraries of the toolchain cannot be packed.
  private static let isRelease = Sandbox.executable.text.contains("/release/")
  private static let canPack = packageTools.isInstalled && isRelease
  private static let requirement: Comment =
    "needs dpkg-dev, and programs with the Swift runtime inside: PFS_BINARY of a release"

  @Test(
    "is a Debian package that lintian finds no fault with, that dpkg installs, and that leaves nothing behind",
    .enabled(if: canPack, requirement), .enabled(if: getuid() == 0, "dpkg wants to be root"))
  func package() throws {
    try Sandbox.use { sandbox in
      // As fast as can be: what is in it matters.
      let made = try make(sandbox, "deb", "DEB_DIRECTORY=\(sandbox.work)", "DEB_COMPRESSION=none")
      expectDone(made)
      let package = try #require(made.outputLines.last)
      let fields = try run(sandbox, "/usr/bin/dpkg-deb", ["--field", package]).outputText
      for library in ["libc6", "liblmdb0", "libzstd1", "zlib1g"] { #expect(fields.contains(library), "\(fields)") }

      // In a root of its own, with the packages of this system as those that are installed.
      let root = sandbox.work / "root"
      let database = root / "var" / "lib" / "dpkg"
      for name in ["info", "updates", "triggers"] { try (database / name).makeDirectories() }
      try (database / "status").write(try BytePath("/var/lib/dpkg/status").read())
      try (database / "available").write("")
      let filesBefore = try InstallTests.files(in: root / "usr")
      let dpkg = ["--root=\(root)", "--log=/dev/null", "--no-triggers"]
      expectDone(try run(sandbox, "/usr/bin/dpkg", dpkg + ["--install", package]))
      try expectToWork(root / "usr", sandbox)
      #expect(try (root / "usr/share/zsh/vendor-completions/_pfs").exists())
      for page in ["man1/pfs.1.gz", "man1/pfs-bench.1.gz", "man5/pfs-format.5.gz"] {
        #expect(try (root / "usr/share/man" / page).exists(), "\(page)")
      }
      expectDone(try run(sandbox, "/usr/bin/dpkg", dpkg + ["--purge", "pfs"]))
      #expect(try InstallTests.files(in: root / "usr") == filesBefore)
    }
  }

  @Test(
    "is a Debian package without a fault in the eyes of lintian", .enabled(if: canPack, requirement),
    .enabled(if: lintian.isInstalled, Comment(rawValue: lintian.requirement)))
  func lint() throws {
    try Sandbox.use { sandbox in
      let made = try make(sandbox, "deb", "DEB_DIRECTORY=\(sandbox.work)", "DEB_COMPRESSION=gzip")
      expectDone(made)
      let package = try #require(made.outputLines.last)
      let result = try run(sandbox, "/usr/bin/lintian", ["--allow-root", "--fail-on", "error,warning", package])
      expectDone(result)
      #expect(result.outputText.isEmpty, "\(result)")
    }
  }

  // MARK: Doing it

  /// Runs a target of the Makefile with the programs under test, which are not built again.
  private func make(_ sandbox: Sandbox, _ arguments: String...) throws -> CommandResult {
    var environment = sandbox.environment
    environment["DEB_MAINTAINER"] = "Nobody <nobody@example.org>"
    let programs = Sandbox.executable.parent.text
    return try Command(
      BytePath("/usr/bin/make"),
      ["--silent", "--no-print-directory", "-o", "build", "RELEASE_DIRECTORY=\(programs)"] + arguments,
      environment: environment, workingDirectory: ProjectTree.root
    ).run()
  }

  private func run(_ sandbox: Sandbox, _ program: String, _ arguments: [String]) throws -> CommandResult {
    var environment = sandbox.environment
    environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    return try Command(BytePath(program), arguments, environment: environment, workingDirectory: sandbox.work).run()
  }

  /// Stores and restores a file with what is installed below `root`, and has `pfs-bench` find its library and pfs.
  private func expectToWork(_ root: BytePath, _ sandbox: Sandbox) throws {
    let pfs = root / "bin" / "pfs"
    try Sample(.text, seed: 1).write(100_000, to: sandbox.work / "file")
    for arguments in [["put", "file"], ["get", "--force", "file", "-o", "copy"], ["verify"]] {
      let result = try Command(
        pfs, arguments, environment: sandbox.environment, workingDirectory: sandbox.work
      ).run()
      expectDone(result)
    }
    try expectSameBytes(sandbox.work / "copy", sandbox.work / "file")
    // The first needs the library, the second pfs.
    for arguments in [
      ["torture", "explore", "--budget", "1", "--store-dir", "."],
      ["sweep", "--size", "1MiB", "--limits", "64MiB", "--runs", "2", "--directory", "."],
    ] {
      let result = try Command(
        root / "bin" / "pfs-bench", arguments, environment: sandbox.environment, workingDirectory: sandbox.work
      ).run()
      expectDone(result)
    }
  }

  /// The paths of all files below `directory`; directories are none.
  private static func files(in directory: BytePath) throws -> [String] {
    guard try directory.exists() else { return [] }
    return try FileManager.default.subpathsOfDirectory(atPath: directory.text).map { "\(directory)/\($0)" }
      .filter { path in try BytePath(path).status()?.kind != .directory }.sorted()
  }
}
