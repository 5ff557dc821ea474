// The topology's words for what other modules have words for too. Its module cannot be named to tell them apart, since its
// main type has the module's name.

import Topology

typealias PlannedCriterion = FilterCriterion
typealias PlannedCondition = Condition
typealias PlannedRegistrationType = RegistrationType
typealias PlannedSessionCase = SessionCase
typealias PlannedSubscriber = Subscriber
typealias PlannedListenAddress = ListenAddress
