import Topology

/// The step `expect`; Testing has a type of the same name.
typealias Awaited = Expectation
