// The executable: nothing but its entry, so that tests can link all the rest.

import SipcoreCommand

Sipcore.shareHeap()
await Sipcore.run()
