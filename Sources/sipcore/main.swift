// The executable: nothing but its entry, so that tests can link all the rest.

import SipcoreCommand

await Sipcore.run()
