/// Directories and the names in them. Files and directories are numbered.
struct DirectoryTree: Sendable {
  typealias Node = Int
  static let root: Node = 0

  /// The names of each directory; what has no names here is a file.
  var entries: [Node: [[UInt8]: Node]] = [DirectoryTree.root: [:]]

  func node(at path: [UInt8]) -> Node? {
    var node = DirectoryTree.root
    for component in path.split(separator: UInt8(ascii: "/")) {
      guard let next = entries[node]?[Array(component)] else { return nil }
      node = next
    }
    return node
  }
}

/// A change of names. What it finds otherwise than it was when the call was made, because another change before it was
/// lost, it makes as it would have been.
enum DirectoryChange: Sendable {
  case link(directory: DirectoryTree.Node, name: [UInt8], DirectoryTree.Node)
  case unlink(directory: DirectoryTree.Node, name: [UInt8])
  case rename(
    from: DirectoryTree.Node, [UInt8], to: DirectoryTree.Node, [UInt8], DirectoryTree.Node,
    exchangedWith: DirectoryTree.Node?)

  func apply(to tree: inout DirectoryTree) {
    switch self {
    case .link(let directory, let name, let node): tree.entries[directory, default: [:]][name] = node
    case .unlink(let directory, let name): tree.entries[directory]?[name] = nil
    case .rename(let source, let name, let target, let newName, let node, let other):
      tree.entries[source]?[name] = other
      tree.entries[target, default: [:]][newName] = node
    }
  }

  var directories: [DirectoryTree.Node] {
    switch self {
    case .link(let directory, _, _), .unlink(let directory, _): [directory]
    case .rename(let source, _, let target, _, _, _): [source, target]
    }
  }

  /// What it gives a name to.
  var nodes: [DirectoryTree.Node] {
    switch self {
    case .link(_, _, let node): [node]
    case .unlink: []
    case .rename(_, _, _, _, let node, let other): [node] + (other.map { [$0] } ?? [])
    }
  }

  func makes(_ directory: DirectoryTree.Node, _ name: [UInt8]) -> Bool {
    switch self {
    case .link(directory, name, _): true
    case .rename(_, _, directory, name, _, _): true
    case .rename(directory, name, _, _, _, .some): true
    default: false
    }
  }

  var text: String {
    switch self {
    case .link(_, let name, _): "link \(String(decoding: name, as: UTF8.self))"
    case .unlink(_, let name): "unlink \(String(decoding: name, as: UTF8.self))"
    case .rename(_, let name, _, let newName, _, _):
      "rename \(String(decoding: name, as: UTF8.self)) \(String(decoding: newName, as: UTF8.self))"
    }
  }
}

/// Which changes of names a crash may undo. Two models, both of which a store has to survive:
///
/// - *strict*, what POSIX says: a change is durable when a directory that it is in has been synced, and until then any
///   of the changes may be lost and any other be there. Only: a rename is one change, whatever it replaces; and it is not
///   there without the one that made the name which it takes away.
/// - *ordered*, what ext4 and xfs do: metadata goes through one journal, so that changes survive in order, up to some
///   moment. fsync of a directory or a file brings the journal to the last change *of that one*: its making, names,
///   size, punches. An fsync of a file that has no such change brings nothing.
///
/// Whatever the ordered model leaves the strict one can leave as well; it is there because its states are those that
/// occur, and so none of them is to be missed where not all can be tried.
struct DirectoryHistory: Sendable {
  struct Operation: Sendable {
    let event: Int
    let change: DirectoryChange
    /// Indices of operations without which this one cannot be there. Counted from the first of all.
    let dependencies: [Int]
    /// In the strict model.
    var isDurable = false
  }

  /// With all operations before the first pending one.
  private(set) var durable: DirectoryTree
  private(set) var newest: DirectoryTree
  /// From the first pending one on.
  private(set) var operations: ArraySlice<Operation> = []
  /// Operations before this index are durable in the ordered model.
  private(set) var orderedFloor = 0
  /// Of each node, the event of the last change of its metadata.
  private var lastChanges: [DirectoryTree.Node: Int] = [:]

  init(_ tree: DirectoryTree) {
    durable = tree
    newest = tree
  }

  mutating func append(_ change: DirectoryChange, event: Int) {
    var dependencies: [Int] = []
    if case .rename(let source, let name, let target, let newName, _, let other) = change {
      dependencies = operations.lastIndex { $0.change.makes(source, name) }.map { [$0] } ?? []
      if other != nil, let index = operations.lastIndex(where: { $0.change.makes(target, newName) }) {
        dependencies.append(index)
      }
    }
    var touched = change.directories + change.nodes
    if case .unlink(let directory, let name) = change, let node = newest.entries[directory]?[name] {
      touched.append(node)
    }
    for node in touched { lastChanges[node] = event }
    change.apply(to: &newest)
    operations.append(Operation(event: event, change: change, dependencies: dependencies))
  }

  mutating func addDirectory(_ node: DirectoryTree.Node) {
    // It exists from here on; whether anything leads to it is another matter.
    if durable.entries[node] == nil { durable.entries[node] = [:] }
    if newest.entries[node] == nil { newest.entries[node] = [:] }
  }

  /// Size or blocks of a file changed.
  mutating func changeMetadata(of node: DirectoryTree.Node, event: Int) { lastChanges[node] = event }

  /// An fsync of `node` returned that was called before `event`.
  mutating func makeDurable(_ node: DirectoryTree.Node, before event: Int, isDirectory: Bool) {
    if isDirectory {
      for index in operations.indices.reversed()
      where operations[index].event < event && operations[index].change.directories.contains(node) {
        makeDurableStrictly(index)
      }
    }
    // One that was changed again since the call was made brings nothing: which change it reached is not known.
    if let last = lastChanges[node], last < event,
      let index = operations.lastIndex(where: { $0.event <= last })
    {
      orderedFloor = max(orderedFloor, index + 1)
    }
    if let index = operations.lastIndex(where: \.isDurable) { orderedFloor = max(orderedFloor, index + 1) }
    while let first = operations.first, first.isDurable {
      first.change.apply(to: &durable)
      operations.removeFirst()
    }
  }

  private mutating func makeDurableStrictly(_ index: Int) {
    guard operations.indices.contains(index), !operations[index].isDurable else { return }
    operations[index].isDurable = true
    for dependency in operations[index].dependencies { makeDurableStrictly(dependency) }
  }

  // MARK: What a crash may leave

  /// Indices of the operations that may be lost in the strict model.
  var strictlyPending: [Int] { operations.indices.filter { !operations[$0].isDurable } }
  /// How many of the last operations may be lost in the ordered model.
  var orderedPendingCount: Int { operations.endIndex - max(orderedFloor, operations.startIndex) }

  /// The names when of the pending operations the first `count` are there.
  func orderedTree(_ count: Int) -> DirectoryTree {
    var tree = durable
    let end = max(orderedFloor, operations.startIndex) + count
    for operation in operations[..<end] { operation.change.apply(to: &tree) }
    return tree
  }

  /// The names when of the pending operations those of `chosen` are there, and what they cannot be there without.
  func strictTree(_ chosen: Set<Int>) -> DirectoryTree {
    var isThere = chosen
    for index in operations.indices.reversed() where operations[index].isDurable || isThere.contains(index) {
      isThere.insert(index)
      isThere.formUnion(operations[index].dependencies)
    }
    var tree = durable
    for index in operations.indices where isThere.contains(index) { operations[index].change.apply(to: &tree) }
    return tree
  }

  /// What a name may lead to.
  var reachableNodes: Set<DirectoryTree.Node> {
    var nodes = Set(operations.flatMap(\.change.nodes))
    for names in durable.entries.values { nodes.formUnion(names.values) }
    return nodes
  }
}
